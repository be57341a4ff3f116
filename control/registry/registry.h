/* Who is where: claims of addresses by authenticated streams, the operator's entries and services, and what follows for
 * a destination. That an address is meshed is durable: it outlives streams, restarts and outages; only an operator ends
 * it.
 *
 * First owner holds: the first identity to claim an address keeps it. A claim whose sidecar is away longer than the
 * grace (counted while this process runs) ends, so that another identity may take the address over, but the answer is
 * then unknown, never plain. */
#pragma once

#include "certs/digest.h"
#include "control/config/config.h"
#include "control/store/store.h"

struct registry;

struct registry_observer {
	/* Answers about this address may be others now; NULL: about any. May be NULL. */
	void (*on_change)(void *arg, const struct ip_addr *ip);
	/* A claim of this address would be judged otherwise now, and one that was held may be gone (released, ended);
	 * NULL: of any. May be NULL. Called from within the registry: claim in a task, not here. */
	void (*on_freed)(void *arg, const struct ip_addr *ip);
	void *arg;
};

struct registry *registry_new(struct loop *loop, struct store *store, const struct control_config *config,
	const struct registry_observer *observer);
void registry_free(struct registry *registry);
/* After a reload; borrowed like the first. Calls on_change. */
void registry_set_config(struct registry *registry, const struct control_config *config);

/* A live stream of `id` from `ip` says the address is its own. on_claimed: ERR_NONE held; ERR_DENIED with *why:
 * another's, an entry's, or outside mesh.networks; ERR_LIMIT: too many; ERR_IO. Called once, later; never from within.
 * The claim is live until registry_stream_gone(). */
struct registry_attempt; /* until on_claimed was called */
typedef void registry_claimed_fn(void *arg, enum err err, const struct why *why);
struct registry_attempt *registry_claim(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip,
	const uint8_t key_hash[DIGEST_LEN], registry_claimed_fn *on_claimed, void *arg);
/* Before on_claimed was called: it is not called. */
void registry_abandon(struct registry_attempt *attempt);
/* Addresses that one attestation key, and one identity, may hold at once: each is kept for mesh.claim_grace. */
#define REGISTRY_KEY_CLAIMS_MAX      16
#define REGISTRY_IDENTITY_CLAIMS_MAX 16384
void registry_stream_gone(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip);
/* Whether `id` holds the address now. */
bool registry_holds(const struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip);
/* The sidecar of `id` at `ip` drains (or no longer does): the address leaves its services while they have another, and
 * the claim stays. Ignored from who does not hold the address. Stays until it is said otherwise. */
void registry_set_draining(
	struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip, bool is_draining);
/* The holder's own explicit release (id given) or an operator's (NULL). True: it was held, and the release is on its
 * way: once it is durable it stands in the audit log, and on_released (may be NULL) is called, or with why it is not.
 */
typedef void registry_released_fn(void *arg, enum err err, const struct why *why);
bool registry_release(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip,
	registry_released_fn *on_released, void *arg);

/* A host with a sidecar has this address too. True: mesh.networks and mesh.plaintext_networks say nothing about its
 * family, so what is opened over it leaves in plaintext; logged once per family and configuration. */
bool registry_note_address(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip);

enum resolution_kind { RESOLVED_MESHED, RESOLVED_PLAIN, RESOLVED_UNKNOWN };
#define RESOLUTION_ENDPOINTS_MAX 1024 /* of one family: what an answer carries to each of its subscribers */
struct resolution {
	enum resolution_kind kind;
	char reason[160];    /* plain, unknown */
	const char *service; /* NULL: none; borrowed from the config */
	struct {
		struct addr address;
		const struct spiffe_id *id; /* borrowed until the next change */
	} endpoints[RESOLUTION_ENDPOINTS_MAX];
	size_t num_endpoints; /* to be used */
	bool is_cut;          /* there are more: no caller gets those */
	size_t num_draining;  /* behind them in the array: to be used when none of those can be reached */
};
void registry_resolve(struct registry *registry, const struct addr *destination, struct resolution *out);

struct registry_claim_view { /* borrowed */
	const struct ip_addr *ip;
	const struct spiffe_id *id;
	const uint8_t *key_hash; /* DIGEST_LEN; zeros: not known */
	bool is_live, has_ended;
};
typedef void registry_claim_each_fn(void *arg, const struct registry_claim_view *claim);
uint64_t registry_num_resolutions(const struct registry *registry); /* so far */
void registry_each_claim(const struct registry *registry, registry_claim_each_fn *each, void *arg);
