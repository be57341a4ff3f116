/* The mesh's present trust state: the root, the bans, and the epoch as its version. The epoch's counter is durable and
 * grows exactly when the content changes, also across a crash. */
#pragma once

#include "base/core/loop.h"
#include "certs/bundle.h"
#include "control/store/store.h"

struct trust;

struct trust_options {
	struct loop *loop;
	struct store *store;
	const struct trust_domain *domain;
	struct span root; /* DER; copied */
	/* A new state is durable and can be sent. Also called for the first one. */
	void (*on_change)(void *arg);
	void *arg;
};
enum err trust_new(const struct trust_options *options, struct trust **out, struct why *why) _must_use_;
void trust_free(struct trust *trust);

bool trust_is_ready(const struct trust *trust); /* the first state is durable */
struct epoch trust_epoch(const struct trust *trust);
const struct bundle_set *trust_bundles(const struct trust *trust); /* for verifying clients; borrowed until a change */
struct span trust_root(const struct trust *trust);
struct store *trust_store(const struct trust *trust);
const struct trust_domain *trust_domain_of(const struct trust *trust);
