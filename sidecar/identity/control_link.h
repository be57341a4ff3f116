/* One connection to the control plane at a time: dials, verifies the server (bootstrap root and SPIFFE ID), then
 * provides an rpc_client that identity and discovery share. It never dials or retries by itself: see redial.h. */
#pragma once

#include "base/rpc/rpc_client.h"
#include "certs/credentials.h"
#include "sidecar/identity/control_address.h"
#include "sidecar/identity/redial.h"
#include "sidecar/identity/state_folder.h"

struct control_link;

/* The SHA-256 of the bootstrap roots that may have signed the control plane's certificate. */
struct bootstrap_pins {
	uint8_t sha256[STATE_PINS_MAX + 2][DIGEST_LEN];
	size_t num;
};
void bootstrap_pins_add(struct bootstrap_pins *pins,
	const uint8_t sha256[DIGEST_LEN]); /* a duplicate is ignored, and so is a pin above the maximum */

struct control_link_options { /* all borrowed, `expected` copied */
	struct loop *loop;
	struct tls_context *context; /* client */
	const char *address;         /* control_address.h */
	const struct bootstrap_pins *pins;
	struct spiffe_id expected; /* spiffe://<trust domain>/handfast/control */
	int64_t (*now_s)(void *arg);
	void (*on_up)(void *arg);
	/* Also when the dial fails. REDIAL_REFUSED: the server refused this sidecar, or its certificate is wrong;
	 * dialing again soon would not help. REDIAL_TURNED_AWAY: one of the addresses did so (redial.h). */
	void (*on_down)(void *arg, const struct why *why, enum redial_cause cause);
	void *arg;
};
enum err control_link_new(const struct control_link_options *options, struct control_link **out,
	struct why *why) _must_use_; /* ERR_CONFIG */
void control_link_free(struct control_link *link);

/* credentials NULL: without a certificate, for Attest only. only: AF_INET or AF_INET6; 0: both, the one that answered
 * last first. timeout_ms: per address. A name is resolved at each dial, and its addresses are dialed in turn. Ends in
 * on_up or on_down, never during the call. */
void control_link_dial(struct control_link *link, struct credentials *credentials, uint8_t only, uint32_t timeout_ms);
void control_link_turn(struct control_link *link);                       /* the next dial begins with another address */
void control_link_cut(struct control_link *link);                        /* without on_down; allowed when down */
bool control_link_is_down(const struct control_link *link);              /* neither up nor dialing */
struct rpc_client *control_link_client(const struct control_link *link); /* NULL unless up */
uint8_t control_link_family(const struct control_link *link);            /* 0 unless up */
struct addr control_link_dialed(const struct control_link *link);        /* last; family 0: none yet */
