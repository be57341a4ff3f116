/* The connection itself, as its steps see it. Only files of this folder include this. */
#pragma once

#include "sidecar/conn/conn_table.h"

/* What a step says. WAIT: it has armed exactly what it waits for and is run again when that comes; the driver arms the
 * table's deadline. */
enum conn_next_kind { CONN_NEXT, CONN_WAIT, CONN_CLOSE };
struct conn_next {
	enum conn_next_kind kind;
	enum close_reason reason; /* CONN_CLOSE */
};

struct conn {
	struct conn *next, **prev; /* in the worker's table */
	struct share share;        /* its place there */
	struct conn_env *env;
	uint8_t kind; /* enum conn_kind */
	uint8_t step; /* enum conn_step_id */
	bool encrypted;
	bool has_asked; /* for its destination: once is enough, the answer comes when it comes */

	uint8_t timeout_reason; /* enum close_reason: why it is late, if the deadline passes now */
	uint8_t num_tried;      /* endpoints so far */
	uint8_t tried_last;     /* its place, counted from first_endpoint on */
	uint16_t first_endpoint;
	bool is_undelivered; /* the last endpoint tried has certainly handed nothing on */
	uint64_t tried;      /* a bit per place */
	int fd;              /* the accepted socket, until it becomes a leg; -1 then */
	struct addr source;
	struct original_dst dst;
	struct addr endpoint; /* outbound: where it went */
	uint64_t opened_ms;
	uint64_t policy_generation; /* that it was decided under */
	const char *rule;           /* borrowed from `policy` */
	const char *dry_run_rule;
	struct policy *policy; /* the one that decided: keeps rule alive; NULL: none did */
	struct answer *answer;
	struct svid *peer; /* a reference; NULL: none */

	struct inbound_stream *stream; /* inbound, until accepted or refused */
	struct leg *downstream, *upstream;
	struct relay *relay;
	struct relay_counts counted; /* told to the observer so far */
	struct stream_attempt *attempt;
	struct loop_io connecting; /* upstream socket on its way; its fd is connecting_fd */
	int connecting_fd;
	enum { OPEN_IDLE, OPEN_WAITING, OPEN_FAILED, OPEN_READY } open_state;
	enum close_reason open_reason; /* OPEN_FAILED */
	struct endpoint_waiter waiter;
	struct loop_timer deadline;
	struct loop_task wake; /* run the driver again at the end of this round */
	struct why *why;       /* made when there is something to explain */
};

struct conn_next conn_next(void);
struct conn_next conn_wait(void);
struct conn_next conn_close_for(enum close_reason reason);

/* Runs the current step again, soon: for callbacks. */
void conn_wake(struct conn *conn);
/* Ends it now: the one place that does. Unless it is done, both sides see a reset. Frees it. */
void conn_end(struct conn *conn, enum close_reason reason);
struct why *conn_why(struct conn *conn); /* to be filled */
const struct spiffe_id *conn_peer_id(const struct conn *conn);

/* Tells the observer of the bytes that were handed on since the last time. */
void conn_count(struct conn *conn);
struct leg_inspection;
void conn_inspect(struct conn *conn, const struct leg_inspection *inspection);

/* conn_table, the part that is for conn alone */
/* Or which limit stands in the way. */
enum share_limit conn_table_add(struct conn_table *table, struct conn *conn) _must_use_;
void conn_table_remove(struct conn_table *table, struct conn *conn);
/* Looks at the next `num` of the present pass; false: the pass is over, and the next call begins another. */
bool conn_table_inspect(struct conn_table *table, size_t num, const struct leg_inspection *inspection);

/* Decides under the snapshot's present policy; on CONN_NEXT the decision is recorded. */
struct conn_next conn_decide(struct conn *conn);
/* Does the snapshot still allow what it allowed? For connections that were decided: on entering the relay, and whenever
 * the view changes after. */
struct conn_next conn_recheck(struct conn *conn);

/* An own identity that is valid now; without one a connection waits for it, as long as it may be held. */
bool conn_has_identity(const struct conn *conn);
struct conn_next conn_park_for_identity(struct conn *conn);

/* Starts a plain connection and waits for it. `source`: towards the workload, which is on this machine; NULL: a
 * destination elsewhere. */
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
void open_timed_out(struct conn *conn); /* step_open.c: its deadline has passed */
struct conn_next step_relay(struct conn *conn);
