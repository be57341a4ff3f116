/* PKCS#10 certification requests (RFC 2986). A request carries a public key and proves possession of the private key.
 * Names in a request are ignored: the identity comes from attestation. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

#define CSR_MAX     8192 /* bytes */
#define CSR_URI_MAX 2048 /* bytes: a SPIFFE ID (SPIFFE-ID 2.3) */

enum err csr_encode(const struct private_key *key, struct buf *out_der) _must_use_; /* empty subject, no attributes */
/* With a URI SAN (critical, RFC 5280 4.2.1.6), for an authority that compares it with the identity of the caller. */
enum err csr_encode_with_uri(const struct private_key *key, struct span uri, struct buf *out_der) _must_use_;
/* Requires DER, no trailing bytes, an allowed key and a valid signature by it (ECDSA with SHA-256 or SHA-384, RSA
 * PKCS#1 v1.5 with SHA-256, Ed25519). Appends the SubjectPublicKeyInfo to *out_spki. ERR_TOO_LARGE, ERR_MALFORMED,
 * ERR_WEAK_KEY, ERR_UNSUPPORTED (another algorithm), ERR_CRYPTO. */
enum err csr_parse(struct span der, struct buf *out_spki, struct why *why) _must_use_;
