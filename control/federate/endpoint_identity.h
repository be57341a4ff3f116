/* What the bundle endpoint presents. https_spiffe: an SVID spiffe://TRUST-DOMAIN/handfast/federation, renewed at half
 * of its life and when the mesh's root is replaced. https_web: the operator's certificate, whose files are read again.
 */
#pragma once

#include "base/tls/tls_session.h"
#include "control/issue/issuer.h"

struct endpoint_identity;

struct endpoint_identity_options { /* borrowed */
	struct loop *loop;
	struct issuer *issuer;
	const char *certificate_file, *key_file; /* PEM; NULL: https_spiffe */
};
struct endpoint_identity *endpoint_identity_new(const struct endpoint_identity_options *options);
void endpoint_identity_free(struct endpoint_identity *identity); /* before the issuer */
/* The root that signs was replaced: another SVID at once. */
void endpoint_identity_renew(struct endpoint_identity *identity);
/* Fills in what the session presents, borrowed until the next round of the loop. ERR_UNAVAILABLE: nothing yet. */
enum err endpoint_identity_fill(
	struct endpoint_identity *identity, struct tls_session_options *out, struct why *why) _must_use_;
