/* The connection struct and what its steps share. Only files of this folder include this header. */
#pragma once

#include "base/core/list.h"
#include "sidecar/conn/conn_table.h"

/* What a step returns. CONN_WAIT: the step has registered for the event that it waits for and runs again when that
 * event occurs; the driver arms the timeout of conn_steps.def. */
enum conn_next_kind { CONN_NEXT, CONN_WAIT, CONN_CLOSE };
struct conn_next {
	enum conn_next_kind kind;
	enum close_reason reason; /* CONN_CLOSE */
};

/* What one connection may cost where a service is down: so many endpoints are tried for it. */
#define ENDPOINT_TRIES_MAX 16

enum open_state { OPEN_IDLE, OPEN_WAITING, OPEN_FAILED, OPEN_READY };

/* What only the steps before the relay need: an open connection, of which there may be thousands, does not have it. */
struct conn_opening {
	struct conn *conn;
	struct loop_task wake; /* runs the driver again at the end of this round */
	struct loop_timer deadline;
	struct endpoint_waiter waiter;
	const char *service; /* of its listener, while dst has no IP address; borrowed, NULL: none */

	/* Each side's owner, until the relay has both. */
	int fd;                        /* the accepted socket, until it becomes a leg; then -1 */
	struct inbound_stream *stream; /* inbound, until accepted or refused */
	struct leg *downstream, *upstream;
	int connecting_fd;         /* -1: none */
	uint32_t scope;            /* of dst: the interface of a link-local address of IPv6; 0: none */
	struct loop_io connecting; /* watches it */
	struct stream_attempt *attempt;
	struct direct_attempt *direct; /* instead, without a tunnel */
	enum open_state open_state;
	enum close_reason open_reason; /* OPEN_FAILED */

	uint16_t tried[ENDPOINT_TRIES_MAX]; /* places of endpoints in its answer, the last one last */
	uint8_t num_tried;
	bool is_undelivered; /* the last endpoint tried certainly delivered no byte to its app */
};

struct conn {
	struct list_link link; /* in the worker's table */
	struct share share;    /* its place in the table's limits */
	struct conn_env *env;
	uint8_t kind; /* enum conn_kind */
	uint8_t step; /* enum conn_step_id */
	bool encrypted;
	uint8_t key_exchange; /* enum key_exchange, of its tunnel; NUM_KEY_EXCHANGES: none */
	bool has_dst;         /* its listener gave the destination, or the service's name and port */
	bool is_subscribed;   /* to its destination: one subscription is enough, the answer arrives by itself */

	uint8_t timeout_reason; /* enum close_reason: the reason if the timeout expires now */
	bool is_unproven;       /* its endpoint may still refuse it, or reset it as others, although it is open */
	uint16_t opening_ms;    /* from its acceptance to the relay, at most 65 s */
	struct addr source;
	uint16_t caller_port; /* inbound: the port of the caller's own socket, as its sidecar names it; 0: unknown */
	struct {
		struct addr addr;
	} dst;                /* as original_dst.h has it; its scope is in `opening` */
	struct addr endpoint; /* outbound: the address it was opened to */
	struct load *load;    /* its place at that endpoint; NULL: none */
	uint64_t opened_ms;
	uint64_t policy_generation; /* of the policy that decided it */
	const char *rule;           /* borrowed from `policy` */
	const char *dry_run_rule;
	struct policy *policy; /* the policy that decided, which owns the text of `rule`; NULL: none did */
	struct answer *answer;
	struct svid *peer; /* a reference; NULL: none */

	struct conn_opening *opening; /* NULL: it is in the relay */
	struct relay *relay;
	struct relay_counts counted; /* reported to the observer so far */
	struct why *detail;          /* allocated by conn_why() */
};
_Static_assert(sizeof(struct conn) <= 248, "what an idle connection costs is a promise");

struct conn_next conn_next(void);
struct conn_next conn_wait(void);
struct conn_next conn_close_for(enum close_reason reason);

/* Runs the current step again at the end of this round of the loop. Callbacks call it: running the step inside a
 * callback could free the connection under its caller. */
void conn_wake(struct conn *conn);
/* Ends and frees the connection; no other function does. Unless the reason is CLOSE_DONE, both sides see a reset. */
void conn_end(struct conn *conn, enum close_reason reason);
void conn_opening_end(struct conn *conn); /* nothing is waited for any more, and no side has an owner there */
struct why *conn_why(struct conn *conn);  /* for the caller to fill */
const struct spiffe_id *conn_peer_id(const struct conn *conn);

/* Reports the bytes relayed since the last call to the observer. */
void conn_count(struct conn *conn);
struct leg_inspection;
void conn_inspect(struct conn *conn, const struct leg_inspection *inspection);

/* The reason for a TLS handshake that failed so. */
enum close_reason conn_reason_of_tls(enum err err, bool failed_by_peer);

/* The functions of conn_table that only this folder uses. */
/* SHARE_LIMIT_NONE, or the limit that refuses the connection. */
enum share_limit conn_table_add(struct conn_table *table, struct conn *conn) _must_use_;
void conn_table_remove(struct conn_table *table, struct conn *conn);
/* Outbound: through a tunnel it needs no descriptor but that of the workload's connection, else another one, which a
 * limit may refuse. */
enum share_limit conn_table_weigh(struct conn_table *table, struct conn *conn, bool is_tunneled) _must_use_;
struct conn_next conn_close_at_limit(struct conn *conn, enum share_limit limit); /* reports which */
/* Inspects the next `num` connections of the current pass; false: the pass is over, and the next call begins another.
 */
bool conn_table_inspect(struct conn_table *table, size_t num, const struct leg_inspection *inspection);

/* Decides under the snapshot's current policy and records the decision in the connection. The policy must be there. */
struct conn_next conn_decide(struct conn *conn);
/* CONN_CLOSE if the snapshot no longer allows a connection that was decided before. Runs when the connection enters the
 * relay, and after that whenever the snapshot changes. */
struct conn_next conn_recheck(struct conn *conn);

/* The address of its listener's service, which comes with the mesh networks; CONN_WAIT: it has not come yet. */
struct conn_next conn_resolve_service(struct conn *conn);
/* Whether this workload has an identity that is valid now. Without one, connections are parked, up to timeouts.resolve.
 */
bool conn_has_identity(const struct conn *conn);
struct conn_next conn_park_for_identity(struct conn *conn);

/* The endpoint of a meshed destination to try next, which counts as tried from now on; NULL: each that is left has as
 * many connections as it may. Borrowed from the answer. A choice looks at two endpoints where these serve, and at each
 * of the answer at most seven times where none does or most are set aside. */
const struct endpoint *conn_choose_endpoint(struct conn *conn);
/* The endpoint that was chosen last counts as untried. */
void conn_choose_again(struct conn *conn);
bool conn_has_next_endpoint(const struct conn *conn);   /* one is left */
bool conn_has_usable_endpoint(const struct conn *conn); /* one is left that did not fail recently */

/* Takes a place at the endpoint, which becomes the connection's, until it is released. False: it has no room. */
bool conn_hold_endpoint(struct conn *conn, const struct addr *endpoint);
void conn_release_endpoint(struct conn *conn); /* allowed when none is held */

/* Its endpoint is set aside for a while, unless it is the only one. was_open: it had accepted the connection. `why` is
 * not empty. */
void conn_endpoint_failed(struct conn *conn, bool was_open, const struct why *why);
void conn_endpoint_served(struct conn *conn); /* its endpoint is not set aside any more */
/* The relay has ended so: one that the endpoint ended at once, without an answer, counts as a failure of it. */
void conn_judge_endpoint(struct conn *conn, enum relay_end end);

/* Starts a plain connection and waits until it is established. `source`: the source address for a connection to the
 * workload, which is on this host; NULL: the destination is elsewhere. */
struct conn_next conn_open_plain(struct conn *conn, const struct addr *to, const struct ip_addr *source);

/* The steps; see conn_steps.def. */
struct conn_next step_accept(struct conn *conn);
struct conn_next step_original_dst_outbound(struct conn *conn);
struct conn_next step_original_dst_inbound(struct conn *conn);
struct conn_next step_original_dst_inbound_plain(struct conn *conn);
struct conn_next step_resolve(struct conn *conn);
struct conn_next step_admit_outbound(struct conn *conn);
struct conn_next step_admit_inbound_plain(struct conn *conn);
struct conn_next step_authorize(struct conn *conn);
struct conn_next step_open_outbound(struct conn *conn);
struct conn_next step_open_app(struct conn *conn);
void open_timed_out(struct conn *conn); /* step_open.c: the timeout of its step has expired */
struct conn_next step_relay(struct conn *conn);
