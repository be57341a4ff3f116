/* A trust state as it came, checked whole: either every part of it can be used or none is. */
#pragma once

#include "sidecar/identity/messages.h"

struct Handfast__V1__TrustState; /* NULL is allowed and refused */

#define TRUST_BUNDLES_MAX 64
#define TRUST_ROOTS_MAX   16 /* a bundle; likewise its revocation lists */
#define TRUST_BANNED_MAX  65536

/* On failure out->bundles is NULL, out->why says why and out->epoch is there if it came, so that it can be refused by
 * name. */
enum err trust_parse(
	const struct Handfast__V1__TrustState *message, const struct trust_domain *own, struct trust *out) _must_use_;
