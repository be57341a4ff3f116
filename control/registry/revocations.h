/* Revoked certificates, by serial: a leaf, or an intermediate with all below it. A record is kept until the certificate
 * has expired. */
#pragma once

#include "base/core/span.h"
#include "control/store/store.h"
#include <stdbool.h>

#define REVOCATIONS_PREFIX     "revoked/"
#define REVOCATIONS_SERIAL_MAX 20 /* bytes */

struct revocation {
	struct span serial;       /* borrowed */
	int64_t since_s, until_s; /* when it was revoked, 0: not known; notAfter of the certificate */
};
/* ERR_MALFORMED: no serial; else on_done as store_swap(): ERR_CONFLICT if it was revoked before. */
enum err revocations_put(
	struct store *store, const struct revocation *revocation, store_done_fn *on_done, void *arg) _must_use_;
bool revocations_has(const struct store *store, struct span serial);
typedef void revocations_fn(void *arg, const struct revocation *revocation);       /* borrowed */
void revocations_list(const struct store *store, revocations_fn *each, void *arg); /* in ascending order */
/* Removes up to `max` records of certificates that ended before now_s. Returns how many. */
unsigned revocations_prune(struct store *store, int64_t now_s, unsigned max);
