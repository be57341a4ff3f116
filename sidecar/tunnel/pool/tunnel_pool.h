/* The outbound tunnels of one worker, found by their endpoint key: own credentials, endpoint, expected identity. A new
 * stream takes the tunnel with the least queued. When every tunnel has a bulk stream another one opens (for that reason
 * at most 4 per endpoint key). Idle tunnels close. A new SVID makes new tunnels while old ones drain. */
#pragma once

#include "sidecar/leg/leg.h"
#include "sidecar/tunnel/tunnel_options.h"

struct tunnel_pool;

struct tunnel_pool_options {
	struct tunnel_options tunnels; /* with the context of a client */
	uint16_t tunnel_port;          /* 15008 */
};
struct tunnel_pool *tunnel_pool_new(const struct tunnel_pool_options *options);
void tunnel_pool_free(struct tunnel_pool *pool); /* cuts what is left */

/* The credentials that new tunnels use (a reference is taken). Tunnels of another SVID send GOAWAY, take no new streams
 * and close with their last one; those of the same one stay, unless the new trust refuses their peer. NULL or expired:
 * no new tunnel and no new stream. */
void tunnel_pool_set_credentials(struct tunnel_pool *pool, struct credentials *credentials);
void tunnel_pool_drain(struct tunnel_pool *pool);
unsigned tunnel_pool_num_tunnels(const struct tunnel_pool *pool);
unsigned tunnel_pool_num_streams(const struct tunnel_pool *pool);
/* Seconds since the notBefore of the oldest identity that still carries a stream; 0: none. */
int64_t tunnel_pool_oldest_identity_s(const struct tunnel_pool *pool);
void tunnel_pool_each(const struct tunnel_pool *pool, tunnel_each_fn *each, void *arg);

/* How opening a stream ended. */
enum stream_verdict {
	STREAM_OPEN,    /* the other sidecar answered 200 */
	STREAM_REFUSED, /* it answered something else: status, and its handfast-reason in `detail.got` and `reason` */
	STREAM_UNREACHABLE, /* TCP to the tunnel port failed: detail.err is ERR_REFUSED, ERR_UNREACHABLE, ERR_TIMEOUT */
	STREAM_TLS_FAILED,  /* the handshake failed: see detail.err (ERR_WRONG_PEER, ERR_EXPIRED, ERR_UNTRUSTED,
			       ERR_TIMEOUT, ...);  failed_by_peer when the other side sent the alert */
	STREAM_BROKEN,      /* the tunnel died after the stream was sent, or it took none */
	STREAM_NO_IDENTITY, /* we have no valid credentials */
	STREAM_ABANDONED,   /* `downstream` was reset by the app before the answer; the stream was canceled */
};
struct stream_result {
	enum stream_verdict verdict;
	unsigned status; /* of the answer; 0: none came */
	bool failed_by_peer;
	bool is_undelivered; /* certainly no byte reached the app there: it may be tried at another endpoint */
	char reason[48];     /* handfast-reason; "" when absent */
	uint64_t answer_ms;  /* STREAM_OPEN: from the request on its tunnel to the answer */
	struct why detail;
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
	/* The app's own socket leg: bytes it sends before the verdict are taken from here (decision 025: they leave at
	 * once; at most 32 KiB kept for a retry elsewhere). Borrowed until on_result. May be NULL. */
	struct leg *downstream;
	/* Fails (STREAM_UNREACHABLE, ERR_TIMEOUT) if no tunnel has taken it by then: where another endpoint is known.
	 * 0: it waits as long as the tunnel's own deadlines let it. */
	uint32_t wait_ms;
};
struct stream_attempt;
/* Tunnels to that endpoint stand, but nothing was heard on any for 2 s although its kernel owes an acknowledgment. */
bool tunnel_pool_is_suspect(
	const struct tunnel_pool *pool, const struct addr *endpoint, const struct spiffe_id *expected);
struct stream_attempt *tunnel_pool_open(struct tunnel_pool *pool, const struct stream_request *request);
void stream_attempt_cancel(struct stream_attempt *attempt); /* before on_result only */
const struct svid *leg_peer(const struct leg *leg);         /* of a stream's tunnel; NULL for a socket */
enum key_exchange leg_key_exchange(const struct leg *leg);  /* of the tunnel of a stream that on_result handed over */
