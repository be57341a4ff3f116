#include "sidecar/conn/test_tunnels.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/leg/tcp_pair.h"
#include <stdio.h>

static struct svid *peer_of_legs; /* tests run one after the other */

static struct leg *leg_make(struct loop *loop, int *out_far)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	*out_far = pair.far;
	return leg_new_plain(loop, pair.near);
}

struct stream_attempt *tunnel_pool_open(struct tunnel_pool *pool, const struct stream_request *request)
{
	CHECK(pool->attempt == NULL);
	pool->attempt = mem_new(struct stream_attempt);
	pool->attempt->pool = pool;
	pool->attempt->request = *request;
	spiffe_id_copy(request->expected, &pool->attempt->expected);
	pool->num_opened++;
	pool->num_tunnels += pool->opens_tunnels;
	return pool->attempt;
}

unsigned tunnel_pool_num_tunnels(const struct tunnel_pool *pool)
{
	return pool->num_tunnels;
}

static struct stream_attempt *attempt_take(struct tunnel_pool *pool)
{
	CHECK(pool->attempt != NULL);
	spiffe_id_done(&pool->attempt->expected);
	return TAKE_PTR(pool->attempt);
}

void stream_attempt_cancel(struct stream_attempt *attempt)
{
	attempt->pool->num_canceled++;
	attempt->pool->attempt = NULL;
	spiffe_id_done(&attempt->expected);
	/* Uses the downstream leg, as the real one does: it must not be freed before. */
	if (attempt->request.downstream != NULL)
		leg_reset(attempt->request.downstream);
	mem_free(attempt);
}

void test_pool_accept(struct tunnel_pool *pool, int *out_far)
{
	_cleanup_(mem_freep) struct stream_attempt *attempt = attempt_take(pool);
	const struct stream_result result = {.verdict = STREAM_OPEN, .status = 200, .answer_ms = pool->answer_ms};
	peer_of_legs = pool->peer;
	attempt->request.on_result(attempt->request.arg, leg_make(pool->loop, out_far), &result);
}

void test_pool_fail(struct tunnel_pool *pool, enum stream_verdict verdict, enum err err, bool by_peer)
{
	_cleanup_(mem_freep) struct stream_attempt *attempt = attempt_take(pool);
	struct stream_result result = {
		.verdict = verdict, .failed_by_peer = by_peer, .is_undelivered = verdict != STREAM_BROKEN};
	(void)why_set(&result.detail, err, "an endpoint", "check the endpoint", "no endpoint answers");
	attempt->request.on_result(attempt->request.arg, NULL, &result);
}

void test_pool_refuse(struct tunnel_pool *pool, unsigned status, const char *reason)
{
	_cleanup_(mem_freep) struct stream_attempt *attempt = attempt_take(pool);
	struct stream_result result = {.verdict = STREAM_REFUSED, .status = status, .is_undelivered = true};
	snprintf(result.reason, sizeof(result.reason), "%s", reason);
	(void)why_set(&result.detail, ERR_REFUSED, "an endpoint", "check the endpoint", "%s", reason);
	attempt->request.on_result(attempt->request.arg, NULL, &result);
}

bool tunnel_pool_is_suspect(
	const struct tunnel_pool *pool, const struct addr *endpoint, const struct spiffe_id *expected)
{
	(void)expected;
	return addr_eq(&pool->suspect, endpoint);
}

const struct svid *leg_peer(const struct leg *leg)
{
	(void)leg;
	return peer_of_legs;
}

enum key_exchange leg_key_exchange(const struct leg *leg)
{
	(void)leg;
	return KEY_EXCHANGE_X25519MLKEM768;
}

const struct addr *inbound_stream_authority(const struct inbound_stream *stream)
{
	return &stream->authority;
}

const struct addr *inbound_stream_local(const struct inbound_stream *stream)
{
	return &stream->local;
}

const struct addr *inbound_stream_remote(const struct inbound_stream *stream)
{
	return &stream->remote;
}

const struct addr *inbound_stream_forwarded(const struct inbound_stream *stream)
{
	return stream->forwarded.ip.family == 0 ? NULL : &stream->forwarded;
}

const struct svid *inbound_stream_peer(const struct inbound_stream *stream)
{
	return stream->peer;
}

enum key_exchange inbound_stream_key_exchange(const struct inbound_stream *stream)
{
	(void)stream;
	return KEY_EXCHANGE_P256;
}

void inbound_stream_set_arg(struct inbound_stream *stream, void *arg)
{
	stream->arg = arg;
}

void *inbound_stream_arg(const struct inbound_stream *stream)
{
	return stream->arg;
}

struct leg *inbound_stream_accept(struct inbound_stream *stream)
{
	stream->num_answers++;
	stream->status = 200;
	return leg_make(stream->loop, &stream->far);
}

void inbound_stream_refuse(struct inbound_stream *stream, unsigned status, const char *reason)
{
	stream->num_answers++;
	stream->status = status;
	snprintf(stream->reason, sizeof(stream->reason), "%s", reason);
}
