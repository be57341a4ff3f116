/* The roots of another authority of the mesh's trust domain, such as SPIRE's: SVIDs below them open Discovery, and
 * nothing that gives an identity, a trust state or an address (decision 077). From a PEM file, which is read again when
 * its content changes; one that is not valid leaves the last valid roots in use. */
#pragma once

#include "certs/verify.h"

struct other_roots;

/* path: borrowed. ERR_CONFIG and others: the file has no valid roots now. */
enum err other_roots_new(
	const char *path, const struct trust_domain *domain, struct other_roots **out, struct why *why) _must_use_;
void other_roots_free(struct other_roots *roots); /* NULL is allowed */
/* About once per second. True: the roots have changed. A failure is logged once per content. */
bool other_roots_poll(struct other_roots *roots);
/* For verifying a client's chain; borrowed until the next poll. */
const struct bundle_set *other_roots_bundles(const struct other_roots *roots);
