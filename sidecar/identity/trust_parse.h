/* Parses a received trust state: either all of its parts are valid, or the whole is refused. */
#pragma once

#include "sidecar/identity/messages.h"

struct Handfast__V1__TrustState; /* NULL is allowed and refused */

#define TRUST_BUNDLES_MAX 64
#define TRUST_ROOTS_MAX   16 /* per bundle */
#define TRUST_BANNED_MAX  65536
#define TRUST_REVOKED_MAX 65536

/* On failure out->bundles is NULL, out->detail has the reason, and out->epoch is set if the message has one, for the
 * nack.
 */
enum err trust_parse(
	const struct Handfast__V1__TrustState *message, const struct trust_domain *own, struct trust *out) _must_use_;
