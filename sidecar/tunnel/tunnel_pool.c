#include "sidecar/tunnel/tunnel_pool.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/tunnel/destination.h"
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/tunnel.h"

struct tunnel_pool {
	struct tunnel_set set;
	struct destinations *destinations;
	bool is_closing;
};

static const struct why no_identity = {
	.err = ERR_UNAVAILABLE,
	.expected = "an own identity that is valid now",
	.got = "none",
	.fix = "look at identity: is the control plane reachable?",
};

static void on_room(struct tunnel *tunnel)
{
	if (tunnel->destination != NULL && tunnel->destination->waiting != NULL)
		destination_serve(tunnel->destination);
}

static void on_answer(struct stream *stream, const struct h2_header *headers, size_t num_headers)
{
	attempt_on_answer(stream->attempt, headers, num_headers);
}

static void on_unanswered_end(struct stream *stream, uint32_t error, const struct why *why)
{
	struct stream_attempt *attempt = stream->attempt;
	struct destination *destination = stream->tunnel->destination;
	if (attempt_lose_stream(attempt, error, why))
		destination_add(destination, attempt);
}

static const struct tunnel_hooks pool_hooks = {
	.on_open = destination_on_open,
	.on_gone = destination_on_gone,
	.on_room = on_room,
	.on_answer = on_answer,
	.on_unanswered_end = on_unanswered_end,
};

struct tunnel_pool *tunnel_pool_new(const struct tunnel_pool_options *options)
{
	struct tunnel_pool *pool = mem_new(struct tunnel_pool);
	pool->set = (struct tunnel_set){
		.loop = options->loop,
		.context = options->client_context,
		.scratch = options->scratch,
		.verify_cache = options->verify_cache,
		.budget = options->budget,
		.time = options->time,
		.limits = options->limits,
		.observer = options->observer,
		.outbound = true,
		.tunnel_port = options->tunnel_port,
		.hooks = &pool_hooks,
		.owner = pool,
	};
	tunnel_set_init(&pool->set);
	pool->destinations = destinations_new(&pool->set);
	return pool;
}

void tunnel_pool_free(struct tunnel_pool *pool)
{
	if (pool == NULL)
		return;
	pool->is_closing = true;
	destinations_fail_all(pool->destinations, STREAM_NO_IDENTITY, &no_identity);
	tunnel_set_done(&pool->set);
	destinations_free(pool->destinations);
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
		destinations_fail_all(pool->destinations, STREAM_NO_IDENTITY, &no_identity);
}

void tunnel_pool_drain(struct tunnel_pool *pool)
{
	tunnel_set_drain(&pool->set);
}

bool tunnel_pool_is_suspect(
	const struct tunnel_pool *pool, const struct addr *endpoint, const struct spiffe_id *expected)
{
	const struct addr at = {.ip = endpoint->ip, .port = pool->set.tunnel_port};
	const struct destination *destination = destinations_find(pool->destinations, &at, expected);
	return destination != NULL && destination_is_suspect(destination);
}

struct stream_attempt *tunnel_pool_open(struct tunnel_pool *pool, const struct stream_request *request)
{
	struct stream_attempt *attempt = attempt_new(pool->set.loop, request);
	if (!has_identity(pool)) {
		attempt_fail(attempt, STREAM_NO_IDENTITY, false, &no_identity);
		return attempt;
	}
	const struct addr at = {.ip = request->endpoint.ip, .port = pool->set.tunnel_port};
	destination_add(destinations_take(pool->destinations, &at, request->expected), attempt);
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
