/* The registry's internals; only files of this folder include this. */
#pragma once

#include "base/core/list.h"
#include "base/core/table.h"
#include "control/registry/claim.h"
#include "control/registry/registry.h"

/* The state of an address in the services of its identity. */
enum presence { PRESENCE_AWAY, PRESENCE_LIVE, PRESENCE_DRAINING, PRESENCE_ENDED };

/* Everything about one address. Freed when there is nothing left. */
struct place {
	struct table_link link;
	struct ip_addr ip;
	struct claim *claim;                  /* NULL: none; owned */
	const struct config_service *service; /* NULL: none; borrowed from the config */
	const struct config_entry *entry;     /* NULL: none; borrowed from the config */
	bool is_draining; /* its sidecar reported it, and no newer sidecar has claimed the address */
	uint32_t zone;    /* of its sidecar, as that reported it here; 0: none */
	struct list_link of_entries, of_services; /* of the identity of `entry`, of `service` */
};

/* Everything about one identity. */
struct member {
	struct table_link link;
	struct spiffe_id id;
	struct list claims;            /* oldest first */
	unsigned num_claims;           /* that have not ended */
	struct list entries, services; /* places, in the order of the settings */
};

struct registry {
	struct loop *loop;
	struct store *store;
	const struct control_config *config;
	struct registry_observer observer;
	struct registry_source source; /* resolve NULL: none */
	struct store_watch watch;
	struct loop_timer grace;
	struct table places, members;                   /* by address, by identity */
	char own[CLAIM_REPLICA_LEN];                    /* this control plane, of several with one store; "": alone */
	const struct config_service **services_by_name; /* sorted; borrowed from the config */
	struct list replicas;                           /* of which there are records, this one included */
	struct store_watch replicas_watch;
	struct loop_timer renewal;
	struct list syncs; /* under way */
	uint64_t num_resolutions;
	struct list attempts;                    /* under way */
	struct list releases;                    /* under way */
	bool has_warned_of_v4, has_warned_of_v6; /* that the configuration omits this family */
};

/* index.c */
struct place *registry_place(const struct registry *registry, const struct ip_addr *ip);                /* NULL: none */
struct member *registry_member(const struct registry *registry, const struct spiffe_id *id);            /* NULL: none */
struct claim *registry_find(const struct registry *registry, const struct ip_addr *ip);                 /* NULL: none */
const struct config_service *registry_service_named(const struct registry *registry, const char *name); /* NULL: none */
void registry_add_claim(struct registry *registry, struct claim *claim); /* adopts; the address has none */
void registry_drop_claim(struct registry *registry, struct claim *claim);
void registry_index_config(struct registry *registry);  /* services and entries of registry->config */
void registry_forget_config(struct registry *registry); /* before that config is freed */
void registry_index_init(struct registry *registry);
void registry_index_done(struct registry *registry);
typedef void registry_place_fn(void *arg, struct place *place);
void registry_each_place(const struct registry *registry, registry_place_fn *each, void *arg);

/* presence.c */
enum presence registry_presence(const struct place *place);
uint32_t registry_zone(const struct place *place);
void registry_stream_opened(struct registry *registry, struct claim *claim);
void registry_linger(struct registry *registry, struct claim *claim, uint64_t ms);
/* Calls the observer for the services of the claim's identity if its presence has changed. */
void registry_review(struct registry *registry, struct claim *claim);
void registry_changed(struct registry *registry, const struct ip_addr *ip, const struct spiffe_id *id);

/* replicas.c */
/* A stream of the claim's owner is at another control plane that is present. */
bool registry_is_held_elsewhere(const struct registry *registry, const struct claim *claim);
/* The record is made to match this control plane's own streams. */
void registry_sync(struct registry *registry, struct claim *claim);
/* Of all control planes that are present, the one that counts how long claims are away. */
bool registry_is_counting(const struct registry *registry);
void registry_replicas_done(struct registry *registry);

bool registry_is_inside(const struct registry *registry, const struct ip_addr *ip); /* mesh.networks */
void registry_attempts_free(struct registry *registry);                             /* without calling on_claimed */
void registry_grace_start(struct registry *registry);
