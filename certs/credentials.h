/* Credentials: SVID, key and bundles as one immutable, refcounted snapshot, verified at creation. */
#pragma once

#include "certs/bundle.h"
#include "certs/private_key.h"
#include "certs/svid.h"

struct credentials;

/* Takes its own references. Fails unless the key matches the leaf (ERR_KEY_MISMATCH), the chain verifies against the
 * bundle of its own trust domain at now_s, and the identity is not reserved. */
enum err credentials_new(struct svid *svid, struct private_key *key, struct bundle_set *bundles, struct epoch epoch,
	int64_t now_s, struct credentials **out, struct why *why) _must_use_;
struct credentials *credentials_ref(struct credentials *credentials); /* any thread */
void credentials_unref(struct credentials *credentials);
DEFINE_CLEANUP(struct credentials *, credentials_unref)

struct svid *credentials_svid(const struct credentials *credentials);          /* borrowed */
struct private_key *credentials_key(const struct credentials *credentials);    /* borrowed */
struct bundle_set *credentials_bundles(const struct credentials *credentials); /* borrowed */
struct epoch credentials_epoch(const struct credentials *credentials);
const struct spiffe_id *credentials_id(const struct credentials *credentials);
uint64_t credentials_generation(
	const struct credentials *credentials); /* the trust generation: increases process-wide with each snapshot */
/* The end of their validity: the earliest of the chain and its root. To be renewed before. */
int64_t credentials_until_s(const struct credentials *credentials);
bool credentials_are_valid(const struct credentials *credentials, int64_t now_s);
