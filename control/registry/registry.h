/* The registry of addresses: claims by authenticated streams, the operator's entries and services, and the answer for a
 * destination that follows from them. An address that is meshed stays meshed through closed streams, restarts and
 * outages; only an operator changes that.
 *
 * The first identity to claim an address owns it. A claim whose sidecar is away longer than the grace period (counted
 * while this process runs) ends: another identity may then claim the address, and until it does the answer is unknown,
 * never plaintext. */
#pragma once

#include "certs/digest.h"
#include "control/config/config.h"
#include "control/store/store.h"

struct registry;

struct registry_observer {
	/* Answers about this address may have changed; NULL: about any. May be NULL. */
	void (*on_change)(void *arg, const struct ip_addr *ip);
	/* A claim of this address may be decided differently now, and one that was held may have ended (released,
	 * expired); NULL: of any. May be NULL. Called from within the registry: claim from a task, not from this
	 * callback. */
	void (*on_freed)(void *arg, const struct ip_addr *ip);
	void *arg;
};

struct registry *registry_new(struct loop *loop, struct store *store, const struct control_config *config,
	const struct registry_observer *observer);
void registry_free(struct registry *registry);
/* Other control planes have the same store. From now on a claim names the control plane with its stream, and one whose
 * stream is at another is live here too. */
void registry_share(struct registry *registry);
/* After a reload; borrowed like the first. Calls on_change. */
void registry_set_config(struct registry *registry, const struct control_config *config);

/* A live stream of `id` from `ip` claims the address. on_claimed: ERR_NONE held; ERR_DENIED with *why:
 * another's, an entry's, or outside mesh.networks; ERR_LIMIT: too many; ERR_IO. Called once, later, never from within
 * registry_claim(). The claim is live until registry_stream_closed(). */
struct registry_attempt; /* valid until on_claimed was called */
typedef void registry_claimed_fn(void *arg, enum err err, const struct why *why);
struct registry_attempt *registry_claim(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip,
	const uint8_t key_hash[DIGEST_LEN], registry_claimed_fn *on_claimed, void *arg);
/* Before on_claimed was called: drops the attempt, and on_claimed is not called. */
void registry_abandon(struct registry_attempt *attempt);
/* The most addresses that one attestation key, and one identity, may own at once: each is kept for mesh.claim_grace. */
#define REGISTRY_KEY_CLAIMS_MAX      16
#define REGISTRY_IDENTITY_CLAIMS_MAX 16384
void registry_stream_closed(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip);
/* Whether `id` owns the address now. */
bool registry_holds(const struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip);
/* Whether the address has an owner with a stream: here, a moment ago, or at another control plane with the same store.
 */
bool registry_is_connected(const struct registry *registry, const struct ip_addr *ip);
/* The sidecar of `id` at `ip` drains (or no longer does): the address leaves its services while they have another, and
 * the claim stays. Ignored unless `id` owns the address. Stays until the next call. */
void registry_set_draining(
	struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip, bool is_draining);
/* The sidecar of `id` at `ip` is in this zone (base/core/zone.h): for the answers about its services. Ignored unless
 * `id` owns the address. Stays until the next call. */
void registry_set_zone(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip, uint32_t zone);
/* What the sidecar at this address has reported by these two; zeroed: nothing. */
struct registry_reported {
	uint32_t zone;
	bool is_draining;
};
struct registry_reported registry_reported(const struct registry *registry, const struct ip_addr *ip);
/* Releases the address: for its owner (id given) or for an operator (NULL). True: it was owned, and the release is
 * under way: once it is durable, or has failed, the audit log has it and on_released (may be NULL) is called.
 */
typedef void registry_released_fn(void *arg, enum err err, const struct why *why);
bool registry_release(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip,
	registry_released_fn *on_released, void *arg);

/* A host with a sidecar has this address too. True: neither mesh.networks nor mesh.plaintext_networks has a network
 * of its family, so connections over it leave in plaintext; logged once per family and configuration. */
bool registry_note_address(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip);

enum resolution_kind { RESOLVED_MESHED, RESOLVED_PLAIN, RESOLVED_UNKNOWN };
#define RESOLUTION_ENDPOINTS_MAX 1024 /* per family: the most that one answer carries */
#define RESOLUTION_ZONES_MAX     4
struct resolution {
	enum resolution_kind kind;
	char reason[160];    /* plain, unknown */
	const char *service; /* NULL: none; borrowed until the next change */
	uint32_t affinity_s; /* for so long a client keeps its endpoint of the service; 0: it need not */
	struct resolved_endpoint {
		struct addr address;
		const struct spiffe_id *id; /* borrowed until the next change */
		/* Callers in these zones prefer it (base/core/zone.h); 0 after the last. */
		uint32_t zones[RESOLUTION_ZONES_MAX];
		bool is_istio_tls; /* not a tunnel: mutual TLS to the address itself */
	} endpoints[RESOLUTION_ENDPOINTS_MAX];
	size_t num_endpoints; /* to be used */
	bool is_cut;          /* there are more, which no caller gets */
	size_t num_draining;  /* after them in the array: to be used when none of those can be reached */
};
void registry_resolve(struct registry *registry, const struct addr *destination, struct resolution *out);

/* The zone of the host with this address, as the source knows it (base/core/zone.h); 0: not known. */
uint32_t registry_host_zone(const struct registry *registry, const struct ip_addr *ip);
/* The address of the service of that name: of the settings, else of the source; IPv4 where it has both. False: none. */
bool registry_service_address(const struct registry *registry, const char *name, struct ip_addr *out);

/* Another source of answers, such as a cluster's objects. It is asked after the operator's entries, services and
 * plaintext networks; its answer outranks a claim, unless that is unknown or has no endpoint. While there is one,
 * mesh.networks may be empty: then every address is inside, and one that nothing is known about is plaintext. */
struct registry_source {
	/* False: it knows nothing about the address. *out is zeroed but for its kind, unknown. */
	bool (*resolve)(void *arg, const struct addr *destination, struct resolution *out);
	/* False: it has no service of that name, or none with an address. NULL: it has no names. */
	bool (*service_address)(void *arg, const char *name, struct ip_addr *out);
	/* The zone of the host with this address (base/core/zone.h); 0: not known. When it becomes known, the source
	 * has changed. NULL: it knows none. */
	uint32_t (*zone)(void *arg, const struct ip_addr *ip);
	void *arg;
};
void registry_set_source(struct registry *registry, const struct registry_source *source); /* copied */
/* Its answers about this address may have changed; NULL: about any. */
void registry_source_changed(struct registry *registry, const struct ip_addr *ip);

struct registry_claim_view { /* borrowed */
	const struct ip_addr *ip;
	const struct spiffe_id *id;
	const uint8_t *key_hash; /* DIGEST_LEN; zeros: unknown */
	bool has_ended;
};
typedef void registry_claim_each_fn(void *arg, const struct registry_claim_view *claim);
uint64_t registry_num_resolutions(const struct registry *registry); /* so far */
void registry_each_claim(const struct registry *registry, registry_claim_each_fn *each, void *arg);
