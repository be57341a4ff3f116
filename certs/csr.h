/* PKCS#10 certification requests (RFC 2986). A request carries a public key and proves possession of the private key.
 * Names in a request are ignored: the identity comes from attestation. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

#define CSR_MAX 8192 /* bytes */

enum err csr_encode(const struct private_key *key, struct buf *out_der) _must_use_; /* empty subject, no attributes */
/* Requires DER, no trailing bytes, a valid self-signature and an allowed key. Appends the SubjectPublicKeyInfo to
 * *out_spki. */
enum err csr_parse(struct span der, struct buf *out_spki, struct why *why) _must_use_;
