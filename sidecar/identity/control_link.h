/* One connection to the control plane at a time: dialed, its server proven (bootstrap root and the one name), then an
 * rpc_client that identity and discovery share. It never dials by itself and never tries again: see redial.h for that.
 */
#pragma once

#include "base/rpc/rpc_client.h"
#include "certs/credentials.h"
#include "sidecar/identity/control_address.h"
#include "sidecar/identity/state_folder.h"

struct control_link;

/* The SHA-256 of the bootstrap roots that may stand behind the control plane's certificate. */
struct bootstrap_pins {
	uint8_t sha256[STATE_PINS_MAX + 2][DIGEST_LEN];
	size_t num;
};
void bootstrap_pins_add(struct bootstrap_pins *pins, const uint8_t sha256[DIGEST_LEN]); /* once; full: ignored */

struct control_link_options { /* borrowed all, `expected` copied */
	struct loop *loop;
	struct tls_context *context; /* client */
	const char *address;         /* control_address.h */
	const struct bootstrap_pins *pins;
	struct spiffe_id expected; /* spiffe://<trust domain>/handfast/control */
	int64_t (*now_s)(void *arg);
	void (*on_up)(void *arg);
	/* Also when the dial fails. said_no: the other side refused us or is not who it must be; to dial again soon
	 * would not help. */
	void (*on_down)(void *arg, const struct why *why, bool said_no);
	void *arg;
};
enum err control_link_new(const struct control_link_options *options, struct control_link **out,
	struct why *why) _must_use_; /* ERR_CONFIG */
void control_link_free(struct control_link *link);

/* credentials NULL: without a certificate, for Attest only. only: AF_INET or AF_INET6; 0: whichever answers, the one
 * that did last first; each address gets patience_ms. A name is resolved anew at each dial, and its addresses are taken
 * in turn. Ends in on_up or on_down, never from within the call. */
void control_link_dial(struct control_link *link, struct credentials *credentials, uint8_t only, uint32_t patience_ms);
void control_link_cut(struct control_link *link);                        /* silently: no on_down; allowed when down */
bool control_link_is_down(const struct control_link *link);              /* neither up nor dialling */
struct rpc_client *control_link_client(const struct control_link *link); /* NULL unless up */
uint8_t control_link_family(const struct control_link *link);            /* 0 unless up */
struct addr control_link_dialed(const struct control_link *link);        /* last; family 0: none yet */
