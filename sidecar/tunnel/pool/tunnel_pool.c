#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/tunnel/pool/upstream.h"
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/tunnel.h"

struct tunnel_pool {
	struct tunnel_set set;
	struct upstreams *upstreams;
	uint16_t tunnel_port;
	bool is_closing;
};

static const struct why no_identity = {
	.err = ERR_UNAVAILABLE,
	.expected = "a valid identity of this sidecar",
	.got = "this sidecar has no valid identity",
	.fix = "check that the control plane is reachable: `handfast check`",
};

static void on_room(struct tunnel *tunnel)
{
	if (tunnel->upstream != NULL && !list_is_empty(&tunnel->upstream->waiting))
		upstream_serve(tunnel->upstream);
}

static void on_answer(struct stream *stream, const struct h2_header *headers, size_t num_headers)
{
	attempt_on_answer(stream->unanswered, headers, num_headers);
}

static enum io_result pull_early(struct stream *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	return attempt_pull(stream->unanswered, to, cap, out_len);
}

static void on_unanswered_end(struct stream *stream, uint32_t error, const struct why *why)
{
	struct stream_attempt *attempt = stream->unanswered;
	struct upstream *upstream = stream->tunnel->upstream;
	if (attempt_lose_stream(attempt, error, why))
		upstream_add(upstream, attempt);
}

static const struct tunnel_hooks pool_hooks = {
	.on_open = upstream_on_open,
	.on_closed = upstream_on_closed,
	.on_room = on_room,
	.on_answer = on_answer,
	.pull_early = pull_early,
	.on_unanswered_end = on_unanswered_end,
};

struct tunnel_pool *tunnel_pool_new(const struct tunnel_pool_options *options)
{
	struct tunnel_pool *pool = mem_new(struct tunnel_pool);
	tunnel_set_init(&pool->set, &options->tunnels, &pool_hooks, pool, true);
	pool->tunnel_port = options->tunnel_port;
	pool->upstreams = upstreams_new(&pool->set);
	return pool;
}

void tunnel_pool_free(struct tunnel_pool *pool)
{
	if (pool == NULL)
		return;
	pool->is_closing = true;
	upstreams_fail_all(pool->upstreams, &no_identity);
	tunnel_set_done(&pool->set);
	upstreams_free(pool->upstreams);
	mem_free(pool);
}

static bool has_identity(const struct tunnel_pool *pool)
{
	const struct credentials *credentials = pool->set.credentials;
	return credentials != NULL && !pool->is_closing &&
	       credentials_are_valid(credentials, tunnel_set_now_s(&pool->set));
}

void tunnel_pool_set_credentials(struct tunnel_pool *pool, struct credentials *credentials)
{
	tunnel_set_credentials(&pool->set, credentials);
	if (credentials == NULL)
		upstreams_fail_all(pool->upstreams, &no_identity);
}

void tunnel_pool_drain(struct tunnel_pool *pool)
{
	tunnel_set_drain(&pool->set);
}

bool tunnel_pool_is_suspect(
	const struct tunnel_pool *pool, const struct addr *endpoint, const struct spiffe_id *expected)
{
	const struct addr at = {.ip = endpoint->ip, .port = pool->tunnel_port};
	const struct upstream *upstream = upstreams_find(pool->upstreams, &at, expected);
	return upstream != NULL && upstream_is_suspect(upstream);
}

struct stream_attempt *tunnel_pool_open(struct tunnel_pool *pool, const struct stream_request *request)
{
	struct stream_attempt *attempt = attempt_new(pool->set.loop, request);
	if (!has_identity(pool)) {
		attempt_fail(attempt, STREAM_NO_IDENTITY, false, &no_identity);
		return attempt;
	}
	const struct addr at = {.ip = request->endpoint.ip, .port = pool->tunnel_port};
	upstream_add(upstreams_get(pool->upstreams, &at, request->expected), attempt);
	return attempt;
}

unsigned tunnel_pool_num_tunnels(const struct tunnel_pool *pool)
{
	return pool->set.num_tunnels;
}

unsigned tunnel_pool_num_streams(const struct tunnel_pool *pool)
{
	return pool->set.num_streams;
}

int64_t tunnel_pool_oldest_identity_s(const struct tunnel_pool *pool)
{
	return tunnel_set_oldest_identity_s(&pool->set);
}

void tunnel_pool_each(const struct tunnel_pool *pool, tunnel_each_fn *each, void *arg)
{
	tunnel_set_each(&pool->set, each, arg);
}

const struct svid *leg_peer(const struct leg *leg)
{
	return leg->ops->peer(leg);
}

enum key_exchange leg_key_exchange(const struct leg *leg)
{
	const struct tunnel *tunnel = container_of(leg, const struct stream, leg)->tunnel;
	return tunnel == NULL ? NUM_KEY_EXCHANGES : tls_session_key_exchange(tunnel->tls);
}
