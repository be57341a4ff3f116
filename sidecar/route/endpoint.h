/* Who is where: the answers discovery gave, as one worker holds them. Immutable answers, refcounted across threads. */
#pragma once

#include "base/core/addr.h"
#include "certs/spiffe_id.h"

enum destination_kind { DESTINATION_MESHED, DESTINATION_PLAIN, DESTINATION_UNKNOWN };

struct endpoint {
	struct addr address;
	struct spiffe_id id; /* who must answer there */
};

struct answer {        /* about one destination */
	unsigned refs; /* atomic */
	uint64_t version;
	struct addr destination;
	enum destination_kind kind;
	char *reason; /* plain, unknown: why, in words. meshed: the service's name or NULL. Owned */
	struct endpoint *endpoints;
	size_t num_endpoints; /* meshed; 0: none is there now */
	size_t num_draining;  /* of these, the last ones: about to end, for when the others cannot be reached */
};
struct answer *answer_new(
	const struct addr *destination, enum destination_kind kind, uint64_t version, size_t num_endpoints);
/* The one to be tried as the nth, n < num_endpoints. seed: the same for all tries of one connection, so that they take
 * turns from a place of their own on; draining endpoints come last. */
const struct endpoint *answer_endpoint(const struct answer *answer, uint32_t seed, size_t n);
struct answer *answer_ref(struct answer *answer);
void answer_unref(struct answer *answer);
DEFINE_CLEANUP(struct answer *, answer_unref)

/* The mesh's networks: outside them a destination is plain without asking. Immutable, refcounted across threads. */
struct mesh_networks {
	unsigned refs; /* atomic */
	struct network *inside;
	size_t num_inside;
	struct network *plain;
	size_t num_plain;
	struct network *required;
	size_t num_required;
};
struct mesh_networks *mesh_networks_new(size_t num_inside, size_t num_plain, size_t num_required);
struct mesh_networks *mesh_networks_ref(struct mesh_networks *networks);
void mesh_networks_unref(struct mesh_networks *networks);
bool mesh_networks_must_ask(const struct mesh_networks *networks, const struct ip_addr *ip); /* inside and not plain */
/* Whether the mesh says anything about that family: as one of its networks or as plain. */
bool mesh_networks_have_family(const struct mesh_networks *networks, uint8_t family);
bool mesh_networks_is_required(const struct mesh_networks *networks, const struct ip_addr *ip);

/* Answers by destination, with least-recently-used eviction above `max`; waiters are told when an answer comes or
 * changes. */
struct endpoint_table;
struct endpoint_waiter {
	struct endpoint_waiter *next, **prev;
	void (*on_answer)(struct endpoint_waiter *waiter,
		struct answer *answer); /* borrowed; the waiter is off the list by then */
};
struct endpoint_table *endpoint_table_new(size_t max);
void endpoint_table_free(struct endpoint_table *table);
struct answer *endpoint_table_find(
	struct endpoint_table *table, const struct addr *destination);        /* borrowed; NULL: not known */
void endpoint_table_put(struct endpoint_table *table, struct answer *answer); /* takes a reference; wakes the waiters */
void endpoint_table_wait(struct endpoint_table *table, const struct addr *destination, struct endpoint_waiter *waiter);
void endpoint_waiter_cancel(struct endpoint_waiter *waiter);
