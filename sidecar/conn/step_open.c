/* Step 6: a stream on a tunnel, a TLS session of its own, or a plain connection (step_open_plain.c). */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/conn/conn_state.h"
#include "sidecar/leg/leg_ops.h"

enum {
	/* Tries when all other endpoints failed recently: a service that is down is not tried at every endpoint. */
	LAST_RESORTS = 3,
	ROOM_TRIES = 16, /* another worker may take the last place of the one that was chosen */
	WAIT_MS = 2000,  /* for a tunnel or a session, while another endpoint may be faster */
	STATUS_DENIED = 401,
};

static enum close_reason reason_of_unreachable(enum err err)
{
	static const struct {
		enum err err;
		enum close_reason reason;
	} reasons[] = {
		{ERR_REFUSED, CLOSE_CONNECT_REFUSED},
		{ERR_TIMEOUT, CLOSE_CONNECT_TIMEOUT},
		{ERR_NO_PORT, CLOSE_PORTS_EXHAUSTED},
		{ERR_FD_EXHAUSTED, CLOSE_FD_EXHAUSTED},
	};
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].err == err)
			return reasons[i].reason;
	return CLOSE_CONNECT_FAILED;
}

static enum close_reason reason_of(const struct stream_result *result)
{
	enum close_reason reported;
	switch (result->verdict) {
	case STREAM_OPEN:
		return CLOSE_DONE;
	case STREAM_REFUSED: /* both sidecars log the same reason, if the other one sends it */
		return close_reason_parse(result->reason, &reported) && close_reason_is_failure(reported)
			       ? reported
			       : CLOSE_REFUSED_BY_PEER;
	case STREAM_UNREACHABLE:
		return reason_of_unreachable(result->detail.err);
	case STREAM_TLS_FAILED:
		return conn_reason_of_tls(result->detail.err, result->failed_by_peer);
	case STREAM_BROKEN:
		return CLOSE_TUNNEL_BROKEN;
	case STREAM_NO_IDENTITY:
		return CLOSE_NO_IDENTITY;
	case STREAM_ABANDONED:
		return CLOSE_RESET_BY_DOWNSTREAM;
	}
	CHECK_UNREACHABLE();
}

/* All endpoints of a service have the same policy: the next one would refuse too. */
static bool is_by_policy(const struct stream_result *result, enum close_reason reason)
{
	return reason == CLOSE_DENIED || reason == CLOSE_PLAINTEXT_REFUSED || reason == CLOSE_POLICY_CHANGED ||
	       reason == CLOSE_WITHDRAWN || (reason == CLOSE_REFUSED_BY_PEER && result->status == STATUS_DENIED);
}

/* Another endpoint may do better. Where this process has no descriptor, none does. */
static bool is_of_endpoint(const struct stream_result *result, enum close_reason reason)
{
	switch (result->verdict) {
	case STREAM_OPEN:
	case STREAM_NO_IDENTITY:
	case STREAM_ABANDONED:
		return false;
	case STREAM_UNREACHABLE:
		return result->detail.err != ERR_FD_EXHAUSTED;
	case STREAM_REFUSED:
	case STREAM_TLS_FAILED:
	case STREAM_BROKEN:
		return !is_by_policy(result, reason);
	}
	CHECK_UNREACHABLE();
}

/* That no local port is free for it is not its fault; for the next one another may be. */
static bool blames_endpoint(const struct stream_result *result, enum close_reason reason)
{
	bool has_no_port = result->verdict == STREAM_UNREACHABLE && result->detail.err == ERR_NO_PORT;
	return is_of_endpoint(result, reason) && !has_no_port;
}

static void record_outcome(struct conn *conn, const struct stream_result *result)
{
	if (result->verdict == STREAM_OPEN) {
		load_answered(conn->load, result->answer_ms, loop_now_ms(conn->env->loop));
		conn->is_unproven = conn->is_unproven || outliers_has_failed_open(conn->env->outliers, &conn->endpoint);
		if (!conn->is_unproven)
			conn_endpoint_served(conn);
		return;
	}
	if (blames_endpoint(result, conn->opening->open_reason))
		conn_endpoint_failed(conn, false, &result->detail);
	conn_release_endpoint(conn);
}

void open_timed_out(struct conn *conn)
{
	struct why why = {0};
	if (conn->opening->attempt == NULL && conn->opening->direct == NULL)
		return;
	why_set(&why, ERR_TIMEOUT, "an answer before timeouts.connect", "check that its sidecar and its workload run",
		"it did not answer in time");
	conn_endpoint_failed(conn, false, &why);
}

static void store_peer(struct conn *conn, const struct leg *leg, enum key_exchange key_exchange)
{
	const struct svid *peer = leg_peer(leg);
	mem_free(TAKE_PTR(conn->detail));
	conn->key_exchange = (uint8_t)key_exchange;
	conn->peer = peer == NULL ? NULL : svid_ref((struct svid *)(uintptr_t)peer);
}

static void store_result(struct conn *conn, struct leg *leg, const struct stream_result *result)
{
	struct conn_opening *opening = conn->opening;
	CHECK(opening->open_state == OPEN_WAITING && opening->upstream == NULL);
	CHECK((leg != NULL) == (result->verdict == STREAM_OPEN));
	opening->upstream = leg;
	opening->open_state = leg != NULL ? OPEN_READY : OPEN_FAILED;
	if (result->verdict == STREAM_NO_IDENTITY && !conn_has_identity(conn)) {
		/* The identity expired before a byte was sent: wait for the next one. */
		opening->open_state = OPEN_IDLE;
		conn_choose_again(conn);
	}
	opening->open_reason = reason_of(result);
	opening->is_undelivered = result->is_undelivered && is_of_endpoint(result, opening->open_reason);
	record_outcome(conn, result);
	if (leg == NULL)
		*conn_why(conn) = result->detail;
	conn_wake(conn);
}

static void on_stream_result(void *arg, struct leg *leg, const struct stream_result *result)
{
	struct conn *conn = arg;
	CHECK(conn->opening->attempt != NULL);
	conn->opening->attempt = NULL;
	store_result(conn, leg, result);
	if (leg != NULL)
		store_peer(conn, leg, leg_key_exchange(leg));
}

/* No byte of the workload has left: another endpoint may be tried. */
static void on_direct_result(void *arg, struct leg *leg, const struct direct_result *result)
{
	static const enum stream_verdict verdicts[] = {
		[DIRECT_OPEN] = STREAM_OPEN,
		[DIRECT_UNREACHABLE] = STREAM_UNREACHABLE,
		[DIRECT_TLS_FAILED] = STREAM_TLS_FAILED,
		[DIRECT_NO_IDENTITY] = STREAM_NO_IDENTITY,
	};
	struct conn *conn = arg;
	const struct stream_result same = {
		.verdict = verdicts[result->outcome],
		.failed_by_peer = result->failed_by_peer,
		.is_undelivered = true,
		.answer_ms = result->answer_ms,
		.detail = result->detail,
	};
	CHECK(conn->opening->direct != NULL);
	conn->opening->direct = NULL;
	conn->is_unproven = leg != NULL; /* it is open before the peer has judged it (direct_client.h) */
	store_result(conn, leg, &same);
	if (leg != NULL)
		store_peer(conn, leg, result->key_exchange);
}

static void open_direct(struct conn *conn, const struct endpoint *endpoint, uint32_t wait_ms)
{
	const struct direct_request request = {
		.endpoint = endpoint->address,
		.expected = &endpoint->id,
		.ports = &conn->env->ports,
		.wait_ms = wait_ms,
		.on_result = on_direct_result,
		.arg = conn,
	};
	conn->opening->direct = direct_client_open(conn->env->direct, &request);
}

static struct conn_next refuse_full(struct conn *conn)
{
	char text[ADDR_TEXT_MAX];
	why_set(conn_why(conn), ERR_LIMIT, "an endpoint with fewer connections than limits.per_endpoint",
		"find out why the workload has so many connections, add endpoints, or raise limits.per_endpoint",
		"no endpoint of %s has room: this sidecar has %zu connections to each",
		addr_format(&conn->dst.addr, text), endpoint_limit_max(conn->env->endpoint_limit));
	return conn_close_for(CLOSE_ENDPOINT_LIMIT);
}

/* NULL: none that is left has room. */
static const struct endpoint *take_endpoint(struct conn *conn)
{
	for (unsigned i = 0; i < ROOM_TRIES && conn_has_next_endpoint(conn); i++) {
		const struct endpoint *endpoint = conn_choose_endpoint(conn);
		if (endpoint == NULL)
			return NULL;
		if (conn_hold_endpoint(conn, &endpoint->address))
			return endpoint;
		conn_choose_again(conn);
	}
	return NULL;
}

static struct conn_next open_plain(struct conn *conn)
{
	return conn_hold_endpoint(conn, &conn->dst.addr) ? conn_open_plain(conn, &conn->dst.addr, NULL)
							 : refuse_full(conn);
}

static struct conn_next open_stream(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	CHECK(conn->encrypted && opening->attempt == NULL && opening->direct == NULL && opening->upstream == NULL);
	const struct endpoint *endpoint = take_endpoint(conn);
	if (endpoint == NULL) /* else those with room have failed, which is the reason */
		return opening->num_tried == 0 ? refuse_full(conn) : conn_close_for(opening->open_reason);
	bool is_tunneled = endpoint->transport == TRANSPORT_TUNNEL;
	enum share_limit limit = conn_table_weigh(conn->env->table, conn, is_tunneled);
	if (limit != SHARE_LIMIT_NONE) {
		conn_release_endpoint(conn);
		return conn_close_at_limit(conn, limit);
	}
	uint32_t wait_ms = conn_has_next_endpoint(conn) ? WAIT_MS : 0;
	opening->open_state = OPEN_WAITING;
	outliers_try(conn->env->outliers, &conn->endpoint, loop_now_ms(conn->env->loop));
	if (!is_tunneled) {
		open_direct(conn, endpoint, wait_ms);
		return conn_wait();
	}
	struct stream_request request = {
		.endpoint = endpoint->address,
		.expected = &endpoint->id,
		.source = conn->source,
		.on_result = on_stream_result,
		.arg = conn,
		.downstream = opening->downstream,
		.wait_ms = wait_ms,
	};
	opening->attempt = tunnel_pool_open(conn->env->pool, &request);
	conn_table_note_tunnels(conn->env->table, tunnel_pool_num_tunnels(conn->env->pool));
	return conn_wait();
}

/* Only a connection that certainly reached no app is tried at another endpoint, so that no byte is delivered twice. */
static bool may_try_next(const struct conn *conn)
{
	const struct conn_opening *opening = conn->opening;
	/* In the same round: the next endpoint would see an orderly end. */
	bool is_reset = opening->downstream->is_reset;
	return conn->encrypted && opening->is_undelivered && !is_reset && conn_has_next_endpoint(conn) &&
	       (opening->num_tried < LAST_RESORTS || conn_has_usable_endpoint(conn));
}

static struct conn_next try_next(struct conn *conn)
{
	struct conn_next next = open_stream(conn);
	if (next.kind == CONN_WAIT && conn->env->observer.on_retry != NULL)
		conn->env->observer.on_retry(conn->env->observer.arg);
	return next;
}

struct conn_next step_open_outbound(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	if (opening->downstream == NULL)
		opening->downstream = leg_new_plain(conn->env->loop, TAKE_FD(opening->fd));
	switch (opening->open_state) {
	case OPEN_IDLE:
		if (!conn->encrypted)
			return open_plain(conn);
		return conn_has_identity(conn) ? open_stream(conn) : conn_park_for_identity(conn);
	case OPEN_WAITING:
		return conn_wait();
	case OPEN_FAILED:
		return may_try_next(conn) ? try_next(conn) : conn_close_for(opening->open_reason);
	case OPEN_READY:
		CHECK(opening->upstream != NULL);
		return conn_next();
	}
	CHECK_UNREACHABLE();
}
