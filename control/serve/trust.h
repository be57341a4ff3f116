/* The mesh's present trust state: the roots, the bans, the pins of bootstrap roots, and the epoch as its version. The
 * epoch's counter is durable and grows exactly when the content changes, also across a crash. */
#pragma once

#include "base/core/loop.h"
#include "certs/bundle.h"
#include "control/rotate/bootstrap.h"
#include "control/serve/crl_files.h"
#include "control/store/store.h"

struct trust;

struct trust_options {
	struct loop *loop;
	struct store *store;
	const struct trust_domain *domain;
	const struct rotation_roots *roots; /* borrowed: those in force */
	const struct bootstrap_pins *pins;  /* borrowed: those in force */
	/* A new state is durable and can be sent. Also called for the first one. */
	void (*on_change)(void *arg);
	void *arg;
	struct crl_files *lists; /* borrowed; NULL: none */
};
enum err trust_new(const struct trust_options *options, struct trust **out, struct why *why) _must_use_;
void trust_free(struct trust *trust);
void trust_roots_changed(struct trust *trust);
void trust_pins_changed(struct trust *trust);
void trust_content_changed(struct trust *trust); /* of what it is made of, such as the lists */

bool trust_is_ready(const struct trust *trust); /* the first state is durable */
/* The epoch has all changes that were reported to it: none is still to be stored. */
bool trust_is_stored(const struct trust *trust);
struct epoch trust_epoch(const struct trust *trust);
/* What sidecars trust: the own trust domain, which comes first, and those of partners. Borrowed until a change. */
struct bundle_set *trust_bundles(const struct trust *trust);
const struct rotation_roots *trust_roots(const struct trust *trust);
/* The counter with which the roots in force were published; 0: they are not durable yet. */
uint64_t trust_roots_since(const struct trust *trust);
const struct bootstrap_pins *trust_pins(const struct trust *trust);
uint64_t trust_pins_since(const struct trust *trust); /* the same of the pins */
/* Whether one more ban or revoked serial of `len` bytes fits: sidecars refuse a trust state that is larger, with all
 * that changes in it. ERR_LIMIT. */
#define TRUST_WITHDRAWN_MAX       65536              /* bans, and as many serials */
#define TRUST_WITHDRAWN_BYTES_MAX (3u * 1024 * 1024) /* in all: a sidecar takes a message of 4 MiB */
enum err trust_may_withdraw(const struct trust *trust, size_t len, struct why *why) _must_use_;
struct store *trust_store(const struct trust *trust);
const struct trust_domain *trust_domain_of(const struct trust *trust);
