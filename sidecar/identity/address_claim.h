/* The claim of our address in the other family: each family is proven by a stream of its own, so this holds a second
 * connection to the control plane, over the family that the identity stream does not use, and on it an identity stream
 * that claims and does nothing else. It renews nothing, acknowledges nothing and tells nobody of its troubles but the
 * debug log: a host without that family is no fault. Tries again by redial.h; where the family leads nowhere, once a
 * minute. Main thread only. */
#pragma once

#include "sidecar/identity/control_link.h"

struct address_claim;

struct address_claim_options {            /* borrowed all */
	struct control_link_options link; /* on_up, on_down and arg are set here; now_s gets `now_arg` */
	const struct trust_domain *trust_domain;
	const char *release;        /* of this program */
	struct state_folder *state; /* has the attestation key */
	void *now_arg;
};
enum err address_claim_new(
	const struct address_claim_options *options, struct address_claim **out, struct why *why) _must_use_;
void address_claim_free(struct address_claim *claim);

/* The identity stream stands over `used`: claim over the other. A stream that stands there already stays. */
void address_claim_start(struct address_claim *claim, uint8_t used, struct credentials *credentials);
/* A connection ends with the SVID that opened it: a new one is made in time. */
void address_claim_renewed(struct address_claim *claim, struct credentials *credentials);
void address_claim_stop(struct address_claim *claim);
/* From now on the address is given up instead, now or when the control plane is back. */
void address_claim_release(struct address_claim *claim);

/* From now on the control plane hears that the workload behind the address is about to end. */
void address_claim_drain(struct address_claim *claim);

struct claimed_address {
	struct ip_addr ip; /* as the control plane saw it; family 0: it has not answered */
	bool is_held;
	struct why why; /* refused reason; err ERR_NONE: not refused */
};
const struct claimed_address *address_claim_get(const struct address_claim *claim);

/* How long after a failure; pure. num_failed: in a row; redial_ms: what redial.h says. */
uint32_t address_claim_wait_ms(enum err err, unsigned num_failed, uint32_t redial_ms);
