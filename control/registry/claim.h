/* One claim of an address, and its record in the store. Pure. */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"
#include "base/core/list.h"
#include "base/core/loop.h"
#include "certs/digest.h"
#include "certs/spiffe_id.h"

#define CLAIM_KEY_PREFIX  "claim/"
#define CLAIM_REPLICA_LEN 33 /* 32 hexadecimal digits and the NUL */

struct claim {
	struct list_link link; /* in its identity's claims */
	struct ip_addr ip;
	struct spiffe_id id; /* the owner */
	uint64_t away_ms;    /* without a live stream, counted while the control plane runs */
	bool has_ended;      /* away longer than the grace period: another identity may take it over; it never becomes
				plaintext by itself */
	uint64_t version;    /* in the store */
	/* Of several control planes with one store the one with the owner's stream (replicas.c); "": none, or only one.
	 */
	char replica[CLAIM_REPLICA_LEN];
	bool is_draining;             /* the owner drains, as that one knows it */
	uint32_t zone;                /* of the owner, as that one knows it; 0: none */
	uint8_t key_hash[DIGEST_LEN]; /* of the attestation key that claimed it; zeros: unknown (release 0.1) */

	/* Not stored. */
	unsigned num_live; /* streams of the owner from this address */
	bool is_syncing;   /* a change of the record to match the streams is under way */
	bool is_lingering; /* its stream closed a moment ago and is likely to come back */
	uint8_t shown;     /* enum presence, as in the answers sent */
	struct loop_timer linger;
	struct registry *registry;
	struct place *place;
};

void claim_free(struct claim *claim);
void claim_key(const struct ip_addr *ip, char out[ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX)]);
enum err claim_encode(const struct claim *claim, struct buf *out) _must_use_;
/* A new claim; ERR_STATE_DAMAGED: not a record of this format. */
enum err claim_parse(const char *key, struct span bytes, struct claim **out, struct why *why) _must_use_;
