/* The claim of this host's address in the other address family. Each family needs a stream of its own as proof, so this
 * keeps a second connection to the control plane, over the family that the identity stream does not use, and on it an
 * identity stream that only claims: it does not renew and sends no acks. Its failures appear in the debug log only,
 * since a host may lack that family. It retries as redial.h defines, or once per minute if that family has no route.
 * Main thread only. */
#pragma once

#include "sidecar/identity/control_link.h"

struct address_claim;

struct address_claim_options {            /* all borrowed */
	struct control_link_options link; /* on_up, on_down and arg are set here; now_s gets `now_arg` */
	const struct trust_domain *trust_domain;
	const char *release;        /* of this program */
	uint32_t zone;              /* of this host (base/core/zone.h); 0: none */
	struct state_folder *state; /* has the attestation key */
	void *now_arg;
};
enum err address_claim_new(
	const struct address_claim_options *options, struct address_claim **out, struct why *why) _must_use_;
void address_claim_free(struct address_claim *claim);

/* The identity stream is open over the family `used`: claims over the other family. A stream that is open there stays.
 */
void address_claim_start(struct address_claim *claim, uint8_t used, struct credentials *credentials);
/* The control plane closes a connection when the SVID that opened it expires: opens a new one with the new SVID. */
void address_claim_renewed(struct address_claim *claim, struct credentials *credentials);
void address_claim_stop(struct address_claim *claim);
/* Releases the address instead, now or when the control plane is reachable again. */
void address_claim_release(struct address_claim *claim);

/* Reports to the control plane, now and on each further stream, that the workload of this address is about to end. */
void address_claim_drain(struct address_claim *claim);

struct claimed_address {
	struct ip_addr ip; /* as the control plane observed it; family 0: it has not answered */
	bool is_held;
	struct why detail; /* of the refusal; err ERR_NONE: not refused */
};
const struct claimed_address *address_claim_get(const struct address_claim *claim);

/* The wait after a failure. num_failed: in a row; redial_ms: the wait of redial.h. Pure. */
uint32_t address_claim_wait_ms(enum err err, unsigned num_failed, uint32_t redial_ms);
