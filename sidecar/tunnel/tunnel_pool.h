/* Outbound tunnels of one worker, kept by (own credentials, destination, identity expected there). A new stream takes
 * the tunnel with the least queued; when every tunnel has a stream that hogs it another opens (at most 4 a destination
 * for that reason); idle tunnels close; new credentials make new tunnels while old ones drain. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"
#include "base/core/shares.h"
#include "base/tls/tls_session.h"
#include "certs/credentials.h"
#include "certs/verify.h"
#include "sidecar/leg/leg.h"
#include "sidecar/tunnel/window.h"

struct tunnel_pool;

struct tunnel_limits {          /* 0: the default in brackets */
	uint32_t max_streams;   /* [4096] streams we accept on a tunnel */
	uint32_t max_tunnels;   /* [1024] inbound, of this worker; a source may have a quarter, an identity half */
	uint64_t window_budget; /* [64 MiB] of the process, shared by its workers: granted credit above 32 KiB a stream
				 */
	uint32_t connect_timeout_ms;   /* [10,000] TCP */
	uint32_t handshake_timeout_ms; /* [5,000] TLS and SETTINGS */
	uint32_t idle_ms;              /* [60,000] a tunnel without a stream closes */
	uint32_t ping_ms; /* [10,000] PING after silence while streams live; dead after 20 s without an answer */
};

enum tunnel_resource { TUNNEL_RESOURCE_HANDSHAKES, TUNNEL_RESOURCE_TUNNELS };

/* What a tunnel's events mean to the outside (report counts and keeps the last failures for /why). All may be NULL. */
struct tunnel_observer {
	void (*on_open)(void *arg, bool outbound, const struct svid *peer, uint64_t handshake_ms);
	void (*on_close)(void *arg, bool outbound);
	/* A tunnel could not be made or broke. `expected`: the identity wanted there, NULL inbound. */
	void (*on_failure)(void *arg, bool outbound, const struct addr *remote, const struct spiffe_id *expected,
		const struct why *why);
	/* A limit keeps an inbound one out; on_failure follows. */
	void (*on_limit)(void *arg, enum tunnel_resource what, enum share_limit limit);
	void *arg;
};

struct tunnel_pool_options {
	struct loop *loop;
	struct tls_context *client_context; /* one a process; borrowed */
	struct tls_scratch *scratch;        /* one a worker; borrowed */
	struct verify_cache *verify_cache;  /* one a worker; borrowed */
	struct window_budget *budget;       /* borrowed */
	const struct trusted_time *time;    /* borrowed; the worker's copy */
	struct tunnel_limits limits;
	uint16_t tunnel_port; /* 15008 */
	struct tunnel_observer observer;
};
struct tunnel_pool *tunnel_pool_new(const struct tunnel_pool_options *options);
void tunnel_pool_free(struct tunnel_pool *pool); /* cuts what is left */

/* The credentials that new tunnels use (a reference is taken). Tunnels of others say GOAWAY, take no new streams and
 * close with their last one. NULL or expired: no new tunnel and no new stream. */
void tunnel_pool_set_credentials(struct tunnel_pool *pool, struct credentials *credentials);
void tunnel_pool_drain(struct tunnel_pool *pool);
unsigned tunnel_pool_num_tunnels(const struct tunnel_pool *pool);
unsigned tunnel_pool_num_streams(const struct tunnel_pool *pool);
/* Seconds since the notBefore of the oldest identity that still carries a stream; 0: none. */
int64_t tunnel_pool_oldest_identity_s(const struct tunnel_pool *pool);
/* key_exchange: the name of the group, such as "X25519". */
typedef void tunnel_each_fn(void *arg, bool outbound, const struct addr *local, const struct addr *remote,
	const struct svid *peer, unsigned num_streams, bool draining, const char *key_exchange);
void tunnel_pool_each(const struct tunnel_pool *pool, tunnel_each_fn *each, void *arg);

/* How opening a stream ended. */
enum stream_verdict {
	STREAM_OPEN,        /* the other sidecar answered 200 */
	STREAM_REFUSED,     /* it answered something else: status, and its handfast-reason in `why->got` and `reason` */
	STREAM_UNREACHABLE, /* TCP to the tunnel port failed: why->err is ERR_REFUSED, ERR_UNREACHABLE, ERR_TIMEOUT */
	STREAM_TLS_FAILED,  /* the handshake failed: why->err tells (ERR_WRONG_PEER, ERR_EXPIRED, ERR_UNTRUSTED,
			       ERR_TIMEOUT, ...);  failed_by_peer when the other side sent the alert */
	STREAM_BROKEN,      /* the tunnel died after the stream was sent, or it took none */
	STREAM_NO_IDENTITY, /* we have no valid credentials */
	STREAM_ABANDONED,   /* `downstream` was reset by the app before the answer; the stream was cancelled */
};
struct stream_result {
	enum stream_verdict verdict;
	unsigned status; /* of the answer; 0: none came */
	bool failed_by_peer;
	bool is_undelivered; /* certainly no byte reached the app there: it may be tried at another endpoint */
	char reason[48];     /* handfast-reason; "" when absent */
	struct why why;
};
struct stream_request {
	struct addr endpoint;             /* goes into :authority; the tunnel goes to its IP */
	const struct spiffe_id *expected; /* who must be there; copied */
	struct addr source;               /* of the app's socket, for `forwarded` */
	/* Once. On STREAM_OPEN `leg` is handed over and app bytes may flow (a leg exists earlier inside, so that bytes
	 * the app sent before the 200 go out at once; see tunnel_stream_early()). Otherwise leg is NULL. Not called
	 * from within tunnel_pool_open(). */
	void (*on_result)(void *arg, struct leg *leg, const struct stream_result *result);
	void *arg;
	/* The app's own socket leg: bytes it sends before the verdict are taken from here (design.md: they leave at
	 * once; at most 32 KiB kept for a retry elsewhere). Borrowed until on_result. May be NULL. */
	struct leg *downstream;
	/* Fails (STREAM_UNREACHABLE, ERR_TIMEOUT) if no tunnel has taken it by then: for who knows another endpoint. 0:
	 * it waits as long as the tunnel's own deadlines let it. */
	uint32_t wait_ms;
};
struct stream_attempt;
/* Tunnels to that endpoint stand, but nothing was heard on any for 2 s although its kernel owes an acknowledgment. */
bool tunnel_pool_is_suspect(
	const struct tunnel_pool *pool, const struct addr *endpoint, const struct spiffe_id *expected);
struct stream_attempt *tunnel_pool_open(struct tunnel_pool *pool, const struct stream_request *request);
void stream_attempt_cancel(struct stream_attempt *attempt); /* before on_result only */
const struct svid *leg_peer(const struct leg *leg);         /* of a stream's tunnel; NULL for a socket */
