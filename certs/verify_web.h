/* Verification of a web server's chain (RFC 5280 6, RFC 6125): an end without a SPIFFE ID, such as the API server of
 * Kubernetes. RSA and ECDSA. Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include <stdint.h>

#define WEB_ROOTS_MAX 256
#define WEB_CHAIN_MAX 8 /* certificates, leaf included: bounds the cost of a chain */

struct web_roots; /* what a CA file trusts: roots, or any certificate that it names directly */
enum err web_roots_parse(struct span pem, struct web_roots **out, struct why *why) _must_use_; /* at least one */
void web_roots_free(struct web_roots *roots);
DEFINE_CLEANUP(struct web_roots *, web_roots_free)

struct verify_web_input {
	const struct span *chain; /* DER, leaf first, as the server sent it */
	size_t num_chain;
	const struct web_roots *roots;
	const char *name; /* a DNS name, or an IP address as text: compared with the leaf's subjectAltName only */
	int64_t now_s;
};
/* ERR_UNTRUSTED, ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_WRONG_PEER (another name), ERR_WEAK_KEY, ERR_MALFORMED,
 * ERR_NO_CERTIFICATE, ERR_TOO_LARGE. */
enum err verify_web_chain(const struct verify_web_input *input, struct why *why) _must_use_;
