/* Shared by the files of this folder. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/list.h"
#include "base/core/rates.h"
#include "base/core/shares.h"
#include "base/net/listener.h"
#include "base/rpc/rpc_server.h"
#include "control/registry/leaf_owners.h"
#include "control/report/control_metrics.h"
#include "control/serve/enroll_limit.h"
#include "control/serve/grant.h"
#include "control/serve/serve.h"
#include "control/serve/signer_watch.h"

/* One authenticated connection of a sidecar. Freed when both its peer and its stream are closed. */
struct sidecar {
	struct list_link link; /* while the connection is open */
	struct rpc_peer *peer; /* NULL: closed */
	struct spiffe_id id;
	struct ip_addr source;
	int64_t valid_until_s; /* of the SVID that it presented, or of the last one that it got here */
	bool has_svid_holder;
	uint8_t svid_holder[DIGEST_LEN]; /* the hash of its attestation key */
	struct share share;              /* of the connections */
	unsigned refs;
};
struct sidecar *sidecar_ref(struct sidecar *sidecar);
void sidecar_unref(struct sidecar *sidecar);

struct identity_stream;

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
	struct rates *change_rates; /* of claims, releases and drains of addresses */
	struct shares *connections; /* by identity */
	struct loop_task review;    /* of refused claims, after an address became free */
	struct limited_log *lines;  /* for lines that strangers and sidecars can cause */
	struct leaf_owners *leaf_owners;
	struct tls_context *tls;
	struct tls_scratch *scratch;
	struct rpc_server *streams, *operators;
	struct listener *streams_listener, *operator_listener;
	struct list sidecars;
	struct list identity_streams;
	unsigned num_streams;
	struct loop_timer sweep;
	struct clock_watch clock;
	struct trusted_time time; /* a change of this host's clock counts once it lasts */
	uint64_t next_warning_ms[SERVE_CONDITIONS_NUM];
	struct limit_episode episodes[SERVE_LIMITS_NUM];
	uint64_t num_refused; /* by the listeners, as counted at the last sweep */
	uint64_t copies_due_ms, prune_due_ms;
	uint64_t steady_since_ms; /* when the clock was last set or the machine suspended; else the start */
	struct signer_watch signer;
	int64_t started_ms;
	uint64_t num_issued;
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

/* connections.c: of an rpc_server */
void connections_on_connect(void *serve, struct rpc_peer *peer);
void connections_on_disconnect(void *serve, struct rpc_peer *peer);

/* limits.c */
void limits_on_streams(void *serve, enum rpc_limit limit, const struct addr *from);
void limits_on_identity(struct serve *serve, const struct addr *from);
void limits_on_operators(void *serve, enum rpc_limit limit, const struct addr *from);
void limits_on_pause(void *serve, bool paused);
void limits_sweep(struct serve *serve); /* called periodically: ends episodes that are over */

/* conditions.c */
#define SERVE_DATE_MAX 32
/* Seconds since 1970 as ISO 8601 in UTC. Returns out. */
const char *serve_date(int64_t seconds, char out[SERVE_DATE_MAX]);
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
struct identity_view { /* for status */
	const struct sidecar *sidecar;
	struct epoch acked;
	const char *release;
	bool holds_address;
	uint64_t since_ms;
	bool *is_copied;    /* another sidecar uses its key (copies.h) */
	bool answers_trust; /* false: open for an address of the other family alone, or just opened */
};
typedef void identity_view_fn(void *arg, const struct identity_view *view);
void identity_each(const struct serve *serve, identity_view_fn *each, void *arg);

/* housekeeping.c */
void housekeeping_poll(struct serve *serve); /* at each sweep */

/* operator_service.c */
extern const struct rpc_method operator_methods[];
extern const size_t operator_num_methods;
