/* This mesh's own trust bundle as partners get it: the roots in force, without retired ones, and the keys of JWT-SVIDs.
 * Its sequence is in the store, grows with each change of the content, and never goes back, also after a restore: it is
 * at least the time of the change in seconds. Of several control planes all serve the same. */
#pragma once

#include "base/core/loop.h"
#include "certs/bundle.h"
#include "control/store/store.h"

#define OWN_BUNDLE_KEY "federation/own"

struct own_bundle { /* embedded; zeroed is valid to own_bundle_stop() */
	struct loop *loop;
	struct store *store;
	uint32_t refresh_hint_s;
	struct trust_domain domain;
	struct bundle_set *bundles; /* NULL: not known yet */
	struct buf page;            /* JSON; empty: not stored yet */
	uint64_t sequence;          /* of the page */
	bool is_saving, is_stale;
	struct loop_timer retry;
};

void own_bundle_start(struct own_bundle *own, struct loop *loop, struct store *store, const struct trust_domain *domain,
	uint32_t refresh_hint_s);
void own_bundle_stop(struct own_bundle *own); /* the store is closed before the loop runs again */
/* The trust state is durable and has changed. Takes its own reference. */
void own_bundle_changed(struct own_bundle *own, struct bundle_set *bundles);
