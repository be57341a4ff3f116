/* The answers of discovery: for each destination its kind and its endpoints. Immutable, refcounted across threads. */
#pragma once

#include "base/core/addr.h"
#include "base/core/list.h"
#include "certs/spiffe_id.h"

enum destination_kind { DESTINATION_MESHED, DESTINATION_PLAINTEXT, DESTINATION_UNKNOWN };

#define ENDPOINT_ZONES_MAX 4

/* How an endpoint is reached: by a tunnel to the tunnel port of its IP, or by mutual TLS to the address itself, as a
 * sidecar of Istio takes it (decision 090). As the protocol has them. */
enum endpoint_transport { TRANSPORT_TUNNEL, TRANSPORT_ISTIO_TLS };

struct endpoint {
	struct addr address;
	struct spiffe_id id;                /* the identity expected there */
	uint32_t zones[ENDPOINT_ZONES_MAX]; /* callers in these prefer it (base/core/zone.h); 0 after the last */
	enum endpoint_transport transport;
};
bool endpoint_is_near(const struct endpoint *endpoint, uint32_t zone); /* 0: never */

struct near_place { /* an endpoint that does not drain, and a zone whose callers prefer it */
	uint32_t zone;
	uint16_t at; /* in `endpoints` */
};

#define ANSWER_DIGEST_LEN    16
#define ANSWER_ENDPOINTS_MAX 4096

struct answer {        /* about one destination */
	unsigned refs; /* atomic */
	uint64_t version;
	struct addr destination;
	enum destination_kind kind;
	char *reason; /* plaintext, unknown: the reason as text. meshed: the service's name or NULL. Owned */
	struct endpoint *endpoints;
	size_t num_endpoints; /* meshed; 0: no live endpoint. At most ANSWER_ENDPOINTS_MAX */
	size_t num_draining;  /* the last ones of endpoints: draining, used if the others cannot be reached */
	uint32_t affinity_s;  /* all connections use the endpoint `pinned`, for at least so long; 0: they are spread */
	uint32_t pinned;      /* the same for all workers: chosen before the answer is shared */
	struct near_place *near; /* by zone, then by `at`; of answer_sort_zones() */
	size_t num_near;
	bool has_digest;
	uint8_t digest[ANSWER_DIGEST_LEN]; /* of the control plane, which knows by it what this sidecar has */
};
struct answer *answer_new(
	const struct addr *destination, enum destination_kind kind, uint64_t version, size_t num_endpoints);
/* Once its endpoints are complete, and before it is shared: what answer_near() searches. */
void answer_sort_zones(struct answer *answer);
/* The endpoints that callers of this zone prefer, each once; borrowed from the answer. Zone 0: none. */
const struct near_place *answer_near(const struct answer *answer, uint32_t zone, size_t *out_num);
struct answer *answer_ref(struct answer *answer);
void answer_unref(struct answer *answer);
DEFINE_CLEANUP(struct answer *, answer_unref)

/* The mesh networks: a destination outside them is plaintext, without a subscription. And where in the mesh this
 * sidecar is. Immutable, refcounted across threads. */
struct mesh_networks {
	unsigned refs; /* atomic */
	struct network *inside;
	size_t num_inside;
	struct network *plaintext;
	size_t num_plaintext;
	struct network *require_mtls;
	size_t num_require_mtls;
	struct mesh_service { /* that listeners lead to by name */
		char *name;   /* owned */
		struct ip_addr ip;
	} * services;
	size_t num_services;
	uint32_t zone; /* whose endpoints are preferred; 0: none */
};
struct mesh_networks *mesh_networks_new(size_t num_inside, size_t num_plaintext, size_t num_require_mtls);
/* Before it is shared with another thread. The name has no NUL byte. */
void mesh_networks_add_service(struct mesh_networks *networks, struct span name, const struct ip_addr *ip);
const struct ip_addr *mesh_networks_service(const struct mesh_networks *networks, const char *name); /* NULL: none */
struct mesh_networks *mesh_networks_ref(struct mesh_networks *networks);
void mesh_networks_unref(struct mesh_networks *networks);
bool mesh_networks_needs_answer(
	const struct mesh_networks *networks, const struct ip_addr *ip); /* inside, not plaintext */
/* Whether one of the mesh networks or plaintext networks is of that family. */
bool mesh_networks_have_family(const struct mesh_networks *networks, uint8_t family);
bool mesh_networks_requires_mtls(const struct mesh_networks *networks, const struct ip_addr *ip);

/* Answers by destination, with least-recently-used eviction above `max`; waiters are called when an answer arrives or
 * changes. */
struct endpoint_table;
struct endpoint_waiter {
	struct list_link link;
	void (*on_answer)(struct endpoint_waiter *waiter,
		struct answer *answer); /* borrowed; the waiter has been removed from the list */
};
struct endpoint_table *endpoint_table_new(size_t max);
void endpoint_table_free(struct endpoint_table *table);
struct answer *endpoint_table_find(
	struct endpoint_table *table, const struct addr *destination);        /* borrowed; NULL: no answer */
void endpoint_table_put(struct endpoint_table *table, struct answer *answer); /* takes a reference; wakes the waiters */
void endpoint_table_wait(struct endpoint_table *table, const struct addr *destination, struct endpoint_waiter *waiter);
void endpoint_waiter_cancel(struct endpoint_waiter *waiter);
