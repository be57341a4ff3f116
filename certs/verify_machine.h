/* Verification of a machine's certificate, as a company's own CA issues it (RFC 5280 6): an end without a SPIFFE ID
 * that proves who it is by signing. What the verified certificate states is reported as facts. Pure. */
#pragma once

#include "base/core/buf.h"
#include "certs/verify_web.h"

#define MACHINE_CHAIN_MAX 8 /* certificates, leaf included: bounds the cost of a chain */

struct machine_crls; /* revocation lists */
/* PEM blocks "X509 CRL" (RFC 7468), at least one, at most 64; each as crl.h requires it. */
enum err machine_crls_parse(struct span pem, struct machine_crls **out, struct why *why) _must_use_;
void machine_crls_free(struct machine_crls *crls);
DEFINE_CLEANUP(struct machine_crls *, machine_crls_free)

/* Each is compared byte by byte. MACHINE_SUBJECT_CN: UTF-8, only where the subject has exactly one. MACHINE_SAN_DNS:
 * lower case. MACHINE_CA_SHA256: DIGEST_LEN bytes, of the DER of an authority of the verified path, root included. */
enum machine_fact { MACHINE_SUBJECT_CN, MACHINE_SAN_DNS, MACHINE_SAN_URI, MACHINE_CA_SHA256 };
typedef void machine_fact_fn(void *arg, enum machine_fact fact, struct span value); /* borrowed */

struct verify_machine_input {
	const struct span *chain; /* DER, leaf first, root not needed */
	size_t num_chain;
	struct span message, signature; /* by the leaf's key, as public_key_verify() */
	const struct web_roots *roots;
	const struct machine_crls *crls; /* NULL: none; else each authority of the path needs a fresh list */
	int64_t now_s;
};
/* Stricter than RFC 5280: the certificates as cert.h has them (keys, SHA-2, extensions); the leaf is no CA, has the
 * purpose clientAuth in an extendedKeyUsage, and digitalSignature where it has a keyUsage. ERR_NO_CERTIFICATE,
 * ERR_TOO_LARGE, ERR_MALFORMED, ERR_WEAK_KEY, ERR_CRYPTO (the signature), ERR_UNTRUSTED, ERR_EXPIRED,
 * ERR_NOT_YET_VALID, ERR_REVOKED. on_fact is called only on success. */
enum err verify_machine_chain(
	const struct verify_machine_input *input, machine_fact_fn *on_fact, void *arg, struct why *why) _must_use_;
