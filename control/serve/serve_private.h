/* Shared by the files of this folder. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/list.h"
#include "base/core/rates.h"
#include "base/core/shares.h"
#include "base/net/listener.h"
#include "base/rpc/rpc_server.h"
#include "control/issue/certificate.h"
#include "control/registry/leaf_owners.h"
#include "control/registry/svid_holders.h"
#include "control/report/control_metrics.h"
#include "control/serve/cut_off.h"
#include "control/serve/enroll_limit.h"
#include "control/serve/grant.h"
#include "control/serve/jwt_keys.h"
#include "control/serve/operator_port.h"
#include "control/serve/own_lists.h"
#include "control/serve/serve.h"
#include "control/serve/signer_watch.h"
#include "control/serve/waiting_room.h"

enum { SERVE_INTERMEDIATE = 2 };     /* its place among the authorities (control_start.c) */
#define REPORT_MAX      (48u * 1024) /* bytes of one sidecar's report (abuse case D40) */
#define REPORTS_ALL_KIB (64u * 1024) /* of all; those of the identity with the most give way */
enum { SERVE_RENEWAL_MS = 2 };       /* the time that a renewal has when all sidecars renew at once */

struct sidecar_serial {
	uint8_t bytes[CERTIFICATE_SERIAL_MAX];
	size_t len; /* 0: not known */
};

struct identity_stream;

/* One authenticated connection of a sidecar. Freed when both its peer and its stream are closed. */
struct sidecar {
	struct list_link link; /* while the connection is open */
	struct rpc_peer *peer; /* NULL: closed */
	struct spiffe_id id;
	struct ip_addr source;
	bool is_guest;         /* its SVID is another authority's (other_roots.h): it may use Discovery alone */
	int64_t valid_until_s; /* of the SVID that it presented, or of the last one that it got here */
	bool has_svid_holder;
	uint8_t svid_holder[DIGEST_LEN]; /* the hash of its attestation key */
	struct sidecar_serial leaf, intermediate;
	uint8_t root_tag[ROTATION_TAG_LEN]; /* of the root above that SVID; zero: not known */
	struct share share;                 /* of the connections */
	struct loop_timer jwt_window;       /* runs after the audit line of a token */
	unsigned num_jwt_more;              /* tokens in it, without a line yet */
	/* Of its streams the last that has answered the trust state: a pod's row of the status is of one connection,
	 * however many streams it has. NULL: none */
	const struct identity_stream *answering;
	unsigned refs;
};
struct sidecar *sidecar_ref(struct sidecar *sidecar);
void sidecar_unref(struct sidecar *sidecar);

/* Refusals by one limit, from the first one until there was none for a while: logged at the start and the end. */
struct limit_episode {
	uint64_t began_ms, last_ms, num; /* num 0: no episode */
};
enum serve_limit {
	SERVE_LIMIT_CONNECTIONS,
	SERVE_LIMIT_IDENTITY,
	SERVE_LIMIT_HANDSHAKES,
	SERVE_LIMIT_OPERATORS,
	SERVE_LIMITS_NUM
};

struct serve {
	struct serve_options options;
	struct granter *granter;
	struct enroll_limit *enroll_limit;
	struct rates *renew_rates;
	struct rates *jwt_rates;
	struct jwt_keys jwt_keys;
	struct own_lists own_lists;
	struct rates *change_rates; /* of claims, releases and reports of addresses */
	struct shares *connections; /* by identity */
	struct loop_task review;    /* of refused claims, after an address became free */
	struct limited_log *lines;  /* for lines that strangers and sidecars can cause */
	struct leaf_owners *leaf_owners;
	struct {
		struct buf der;
		struct sidecar_serial serial;
	} last_intermediate; /* of a sidecar that connected or renewed */
	struct tls_context *tls;
	struct tls_scratch *scratch;
	struct rpc_server *streams, *operators;
	struct waiting_room *waiting; /* connections to the streams, before their handshake */
	struct listener *streams_listener, *operator_listener;
	struct listener *unix_listener;      /* NULL: none */
	struct rates *unix_rates;            /* of connections there, by user */
	struct operator_port *operator_port; /* NULL: none */
	struct list sidecars;
	struct list identity_streams;
	unsigned num_streams;
	struct loop_timer sweep;
	struct loop_task sweep_soon; /* when what has been sent is with the kernel */
	struct clock_watch clock;
	struct trusted_time time; /* a change of this host's clock counts once it lasts */
	uint64_t next_warning_ms[SERVE_CONDITIONS_NUM];
	struct limit_episode episodes[SERVE_LIMITS_NUM];
	uint64_t num_refused; /* by the listeners, as counted at the last sweep */
	uint64_t copies_due_ms, prune_due_ms, acks_due_ms;
	uint64_t trust_changed_ms;
	uint64_t steady_since_ms; /* when the clock was last set or the machine suspended; else the start */
	struct signer_watch signer;
	struct cut_off cut_off;
	int64_t started_ms;
	uint64_t num_issued;
	struct shares *reports; /* KiB, by identity */
	struct {
		struct buf der;
		int64_t not_before_s, not_after_s;
	} authorities[4]; /* as of the signer's last answer */
	const char *authority_kinds[4];
	size_t num_authorities;
};

/* So that one identity never exhausts what the others need. */
static inline uint32_t serve_identity_max(const struct serve *serve)
{
	return serve->options.max_connections / 2 + 1;
}
static inline int64_t serve_now_ms(const struct serve *serve)
{
	const struct clock *clock = loop_clock(serve->options.loop);
	return clock->wall_ms(clock);
}
/* The time by which sidecars' certificates are checked: a clock that is wrong for seconds must not close all
 * connections. */
static inline int64_t serve_judging_s(const struct serve *serve)
{
	return trusted_time_authenticated_s(&serve->time, loop_clock(serve->options.loop));
}
static inline void serve_count(const struct serve *serve, enum control_metric metric)
{
	metric_add(serve->options.metrics, metric, 1);
}

/* The gRPC status of a failure. */
enum rpc_status serve_status(enum err err);
uint32_t serve_retry_ms(const struct serve *serve, enum err err); /* 0: an early retry is useless */
/* The exported keying material of this connection for this CSR, which the attestation key signs. */
enum err serve_exported(struct rpc_peer *peer, struct span csr, uint8_t out[ATTEST_EXPORTED_LEN]) _must_use_;

/* accept.c */
void accept_open(struct serve *serve); /* before the listeners */
/* A new connection to the streams; adopts fd. */
void serve_accept(void *serve, int fd, const struct addr *peer);

/* unix_accept.c */
void unix_accept_open(struct serve *serve);
void unix_accept_close(struct serve *serve); /* allowed when closed */

/* connections.c */
/* The SVID that it got on this connection just now. */
void connections_note_granted(struct serve *serve, struct sidecar *sidecar, const struct granted *granted);
/* A connection without a certificate has the identity for which it was attested, from now on. False: it has one. */
bool connections_on_attested(struct serve *serve, struct rpc_peer *peer, const struct granted *granted);
/* of a TLS session */
enum err connections_verify(
	void *serve, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why) _must_use_;
/* of an rpc_server */
void connections_on_connect(void *serve, struct rpc_peer *peer);
void connections_on_disconnect(void *serve, struct rpc_peer *peer);

/* limits.c */
void limits_on_streams(void *serve, enum rpc_limit limit, const struct addr *from);
void limits_on_identity(struct serve *serve, const struct addr *from);
void limits_on_operators(void *serve, enum rpc_limit limit, const struct addr *from);
void limits_on_pause(void *serve, bool paused);
void limits_sweep(struct serve *serve); /* called periodically: ends episodes that are over */

/* guests.c: clients whose SVID is another authority's (other_roots.h) */
enum err guests_verify(struct serve *serve, const struct verify_input *input, struct svid **out_svid) _must_use_;
bool guests_has(const struct serve *serve, const struct svid *svid);
/* For the calls that give an identity, a trust state or an address: not for guests. */
enum rpc_status guests_authorize(const struct serve *serve, const struct sidecar *sidecar, const char **out_message);
void guests_poll(struct serve *serve); /* closes the connections of those whose root was removed */

/* authorities.c */
void authorities_copy(struct serve *serve); /* those of serve_options */
void authorities_changed(void *serve, const struct issued *issued);

/* conditions.c */
void conditions_sweep(struct serve *serve);
void conditions_scrape(const struct serve *serve);

/* clock.c: a step of the wall clock is logged and counted, and sidecars get the new time at once. */
void clock_poll(struct serve *serve);

/* enrollment.c */
void enrollment_start(void *serve, struct rpc_call *call, struct rpc_peer *peer);
void enrollment_message(void *enrollment, struct rpc_call *call, struct span message);
void enrollment_done(void *enrollment, struct rpc_call *call);

/* identity_service.c */
void identity_start(void *serve, struct rpc_call *call, struct rpc_peer *peer);
void identity_message(void *stream, struct rpc_call *call, struct span message);
void identity_half_close(void *stream, struct rpc_call *call);
void identity_done(void *stream, struct rpc_call *call);
void identity_push_trust(struct serve *serve);
void identity_keep_acks(struct serve *serve);  /* those that a rotation waits for, and no record has yet */
void identity_push_slots(struct serve *serve); /* to those with a certificate below a root that is being replaced */
struct identity_view {                         /* for status */
	const struct sidecar *sidecar;
	struct epoch acked;
	const char *release;
	bool holds_address, is_draining;
	const struct sidecar_health *health;
	uint64_t since_ms;
	bool *is_copied;        /* another sidecar uses its key (copies.h) */
	bool knows_revocations; /* false: of release 0.1, which has bans and roots alone (decision 118) */
	bool answers_trust;     /* and no later one of its connection does; false for the address of the other family */
	struct span report;     /* IdentityUp; empty: none */
	size_t num_seen, num_ports; /* rows in it */
	bool is_left_out;           /* its last report was not kept: there is no room for it */
};
typedef void identity_view_fn(void *arg, const struct identity_view *view);
void identity_each(const struct serve *serve, identity_view_fn *each, void *arg);

/* jwt_service.c */
void jwt_service_start(void *serve, struct rpc_call *call, struct rpc_peer *peer);
void jwt_service_message(void *jwt, struct rpc_call *call, struct span message);
void jwt_service_done(void *jwt, struct rpc_call *call);
void jwt_service_forget(struct sidecar *sidecar); /* it ends: tokens without an audit line get theirs */

/* rotation_progress.c */
struct waited_sidecar { /* borrowed during the callback */
	const struct spiffe_id *id;
	int64_t not_after_s; /* of its certificate: then it is no longer waited for */
	bool is_connected;
	const char *release; /* "": not connected */
	struct ip_addr source;
};
typedef void waited_fn(void *arg, const struct waited_sidecar *sidecar);
#define WAITED_SHOWN_MAX    100
#define WAITED_IDENTITY_MAX 25 /* of one identity (abuse case D40) */
/* Whom the rotation under way waits for, the first WAITED_SHOWN_MAX in detail; `each` may be NULL. */
struct rotation_progress rotation_progress_of(const struct serve *serve, waited_fn *each, void *arg);

/* The same of the bootstrap root's replacement: in its last phase, who still needs the former one. */
struct rotation_progress bootstrap_progress_of(const struct serve *serve, waited_fn *each, void *arg);

void rotation_scrape(const struct serve *serve);

/* rotation_replicas.c: without effect for a control plane that is alone */
enum replicas_of { REPLICAS_ROTATION, REPLICAS_BOOTSTRAP }; /* what a phase belongs to */
/* This one has taken over the present phase of either. */
void rotation_replicas_note(const struct serve *serve, bool has_rotation, bool has_bootstrap);
typedef void waited_replica_fn(void *arg, const char *name);
/* How many have not; `each` may be NULL. */
unsigned rotation_replicas_waited(const struct serve *serve, enum replicas_of what, waited_replica_fn *each, void *arg);
void rotation_replicas_prune(struct serve *serve); /* forgets those that are gone */

/* send_away.c */
void send_away_poll(struct serve *serve);                                               /* at each sweep */
enum err send_away_put_obstacle(const struct serve *serve, struct buf *out) _must_use_; /* a line of readiness */

/* housekeeping.c */
void housekeeping_poll(struct serve *serve); /* at each sweep */
void housekeeping_poll_lists(void *serve);

/* operator_service.c */
extern const struct rpc_method operator_methods[];
extern const size_t operator_num_methods;
