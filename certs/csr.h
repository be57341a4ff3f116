/* PKCS#10 certification requests (RFC 2986). They carry a public key and the proof that its holder has the private one;
 * identity never comes from here (names in a request are ignored by design). */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

#define CSR_MAX 8192 /* bytes */

enum err csr_encode(const struct private_key *key, struct buf *out_der) _must_use_; /* empty subject, no attributes */
/* DER only, no trailing bytes, self-signature good, key of an allowed kind. Appends the SubjectPublicKeyInfo to
 * *out_spki. */
enum err csr_parse(struct span der, struct buf *out_spki, struct why *why) _must_use_;
