/* What direct_server.c, direct_client.c and direct_leg.c share. */
#pragma once

#include "base/core/list.h"
#include "base/core/shares.h"
#include "sidecar/direct/direct_server.h"
#include "sidecar/leg/leg_ops.h"

struct direct_server {
	struct direct_server_options options;
	struct credentials *credentials; /* NULL: none */
	struct list all;
	struct shares *handshakes; /* under way, by source */
	struct rates *begun;       /* by source */
	struct loop_task round;
	unsigned num_handshaken; /* in this round */
};

struct direct_leg {
	struct leg leg;
	struct list_link link;          /* in its server or client */
	struct direct_server *server;   /* NULL: this end has opened it */
	struct direct_attempt *attempt; /* that opens it; NULL: none */
	struct loop_io io;
	struct loop_task pending;   /* plaintext waits in the session: no event will report it */
	struct loop_timer deadline; /* of the handshake */
	struct share handshake;
	struct tls_session *tls;
	struct svid *peer; /* a reference; NULL before the handshake's end */
	struct addr local, remote;
	uint64_t begun_ms;   /* of a server's: when it was accepted */
	uint64_t generation; /* of the credentials by which the peer was verified */
	unsigned interest;
	bool is_greeted;    /* it sent something */
	bool is_open;       /* handed to its owner */
	bool owes_writable; /* a push was not taken whole */
	bool is_ending;     /* close_notify is written */
	bool has_keepalive;
};

extern const struct leg_ops direct_leg_ops;
void direct_leg_start(struct direct_leg *direct); /* the events of an open one */
void direct_leg_set_interest(struct direct_leg *direct, unsigned interest);
/* The next part of the handshake; for what it waits for it has registered. */
enum io_result direct_leg_handshake(struct direct_leg *direct) _must_use_;
/* Cuts an open one whose peer these bundles do not trust any more. */
void direct_leg_judge(struct direct_leg *direct, const struct bundle_set *bundles);
/* The same before it is open, where the credentials have changed since its peer was verified (`generation`): the chain
 * was verified at its message, and trust may have changed until the peer's Finished, which it may withhold. */
enum err direct_leg_check_trust(
	const struct direct_leg *direct, const struct credentials *credentials, struct why *why) _must_use_;
enum err direct_no_identity(struct why *why);
