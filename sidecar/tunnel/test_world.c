#include "sidecar/tunnel/test_world.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "sidecar/leg/tcp_pair.h"

/* --- the far side --- */

static void on_far_end(void *arg, enum relay_end end, const struct why *why)
{
	(void)why;
	struct far *far = arg;
	far->has_ended = true;
	far->end = end;
	relay_free(TAKE_PTR(far->relay));
}

static void far_accept(struct far *far)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	far->fd = pair.far;
	struct relay_options options = {
		.downstream = inbound_stream_accept(TAKE_PTR(far->stream)),
		.upstream = leg_new_plain(far->world->loop, pair.near),
		.on_end = on_far_end,
		.arg = far,
	};
	far->relay = relay_start(&options);
}

static void on_stream(void *arg, struct inbound_stream *stream)
{
	struct world *world = arg;
	if (world->num_fars == CALLS_MAX) /* a flood: the last place is used again */
		world->num_fars--;
	struct far *far = &world->fars[world->num_fars++];
	*far = (struct far){.world = world, .stream = stream, .fd = -1};
	if (inbound_stream_forwarded(stream) != NULL)
		far->forwarded = *inbound_stream_forwarded(stream);
	inbound_stream_set_arg(stream, far);
	if (world->conduct == FAR_ACCEPT)
		far_accept(far);
	else if (world->conduct == FAR_REFUSE)
		inbound_stream_refuse(TAKE_PTR(far->stream), world->refuse_status, world->refuse_reason);
}

static void on_abandon(void *arg, struct inbound_stream *stream)
{
	(void)arg;
	struct far *far = inbound_stream_arg(stream);
	far->stream = NULL;
	far->was_abandoned = true;
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct world *world = arg;
	if (world->on_raw != NULL)
		world->on_raw(world->raw_arg, fd);
	else
		tunnel_server_adopt(world->server, fd, peer);
}

/* --- the near side --- */

static void on_call_end(void *arg, enum relay_end end, const struct why *why)
{
	struct call *call = arg;
	call->has_ended = true;
	call->end = end;
	call->detail = *why;
	relay_free(TAKE_PTR(call->relay));
}

static void on_result(void *arg, struct leg *leg, const struct stream_result *result)
{
	struct call *call = arg;
	call->attempt = NULL;
	call->has_result = true;
	call->result = *result;
	if (leg == NULL && call->world->keeps_downstream)
		return;
	if (leg == NULL) {
		leg_reset(call->downstream);
		leg_free(TAKE_PTR(call->downstream));
		return;
	}
	struct relay_options options = {
		.downstream = TAKE_PTR(call->downstream),
		.upstream = leg,
		.on_end = on_call_end,
		.arg = call,
	};
	call->relay = relay_start(&options);
}

static void ask(struct call *call, const char *expected_id)
{
	struct spiffe_id expected;
	CHECK(spiffe_id_parse(span_of_str(expected_id), &expected, NULL) == ERR_NONE);
	struct stream_request request = {
		.endpoint = {.ip = call->world->at.ip, .port = 8080},
		.expected = &expected,
		.source = call->source,
		.on_result = on_result,
		.arg = call,
		.downstream = call->downstream,
		.wait_ms = call->world->wait_ms,
	};
	call->attempt = tunnel_pool_open(call->world->pool, &request);
	spiffe_id_done(&expected);
}

struct call *world_call_to(struct world *world, const char *expected_id)
{
	CHECK(world->num_calls < CALLS_MAX);
	struct call *call = &world->calls[world->num_calls++];
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	*call = (struct call){.world = world, .app = pair.near};
	call->downstream = leg_new_plain(world->loop, pair.far);
	call->source = pair.near_addr;
	ask(call, expected_id);
	return call;
}

void world_call_again(struct call *call)
{
	call->has_result = false;
	ask(call, SERVER_ID);
}
struct call *world_call(struct world *world)
{
	return world_call_to(world, SERVER_ID);
}

bool world_connect(struct world *world, struct call **out_call, struct far **out_far)
{
	unsigned far = world->num_fars;
	struct call *call = world_call(world);
	*out_call = call;
	*out_far = &world->fars[far];
	return WORLD_UNTIL(world, call->has_result) && call->result.verdict == STREAM_OPEN;
}

/* --- both --- */

static void on_open(void *arg, bool outbound, enum key_exchange key_exchange, uint64_t handshake_ms)
{
	CHECK(key_exchange == KEY_EXCHANGE_X25519MLKEM768);
	(void)handshake_ms;
	((struct world *)arg)->opened[outbound]++;
}

static void on_close(void *arg, bool outbound)
{
	((struct world *)arg)->closed[outbound]++;
}

static void on_failure(
	void *arg, bool outbound, const struct addr *remote, const struct spiffe_id *expected, const struct why *why)
{
	(void)remote;
	(void)expected;
	struct world *world = arg;
	world->failed[outbound]++;
	world->last_failure[outbound] = *why;
}

static void make_ends(struct world *world, const struct world_options *options)
{
	struct tunnel_options tunnels = {
		.loop = world->loop,
		.context = world->client_context,
		.scratch = world->scratch,
		.verify_cache = world->cache,
		.budget = world->budget,
		.time = &world->time,
		.limits = options->limits,
		.observer = {.on_open = on_open, .on_close = on_close, .on_failure = on_failure, .arg = world},
	};
	world->pool = tunnel_pool_new(&(struct tunnel_pool_options){.tunnels = tunnels, .tunnel_port = world->at.port});
	tunnels.context = world->server_context;
	struct tunnel_server_options server = {
		.tunnels = tunnels,
		.on_stream = on_stream,
		.on_abandon = on_abandon,
		.arg = world,
	};
	world->server = tunnel_server_new(&server);
}

void world_set_credentials(struct world *world, bool outbound, struct credentials *credentials)
{
	if (outbound)
		tunnel_pool_set_credentials(world->pool, credentials);
	else
		tunnel_server_set_credentials(world->server, credentials);
	credentials_unref(credentials);
}

struct world *world_new(const struct world_options *given)
{
	const struct world_options options = given == NULL ? (struct world_options){0} : *given;
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, TEST_NOW_S * 1000);
	world->loop = loop_new(&world->clock.clock);
	world->mesh = test_mesh_new("td.test", TEST_NOW_S);
	world->client_context = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "h2"});
	world->server_context = tls_context_new(&(struct tls_context_options){.role = TLS_SERVER, .alpn = "h2"});
	world->scratch = tls_scratch_new();
	world->cache = verify_cache_new(64);
	world->budget = flow_control_memory_new(options.flow_control_memory);
	int listening = tcp_listen_any(&world->at);
	world->listener = listener_new(world->loop, listening, on_accept, NULL, world);
	make_ends(world, &options);
	if (!options.no_credentials) {
		world_set_credentials(world, true, world_credentials(world, CLIENT_ID));
		world_set_credentials(world, false, world_credentials(world, SERVER_ID));
	}
	return world;
}

static void free_call(struct call *call)
{
	if (call->attempt != NULL)
		stream_attempt_cancel(call->attempt);
	if (call->downstream != NULL)
		leg_free(call->downstream);
	relay_free(call->relay);
	fd_close(call->app);
}

void world_free(struct world *world)
{
	for (unsigned i = 0; i < world->num_calls; i++)
		free_call(&world->calls[i]);
	for (unsigned i = 0; i < world->num_fars; i++) {
		relay_free(world->fars[i].relay);
		fd_close(world->fars[i].fd);
	}
	tunnel_pool_free(world->pool);
	tunnel_server_free(world->server);
	if (world->listener != NULL)
		listener_free(world->listener);
	flow_control_memory_free(world->budget);
	verify_cache_free(world->cache);
	tls_scratch_free(world->scratch);
	tls_context_free(world->client_context);
	tls_context_free(world->server_context);
	test_mesh_free(world->mesh);
	loop_free(world->loop);
	mem_free(world);
}

int world_setup(void **state)
{
	*state = world_new(NULL);
	return 0;
}

int world_teardown(void **state)
{
	world_free(*state);
	return 0;
}

struct credentials *world_credentials(struct world *world, const char *id)
{
	return test_mesh_credentials(world->mesh, id);
}

struct credentials *world_credentials_for(struct world *world, const char *id, unsigned seconds)
{
	struct bundle_set *bundles = bundle_set_new();
	CHECK(bundle_set_add(bundles, test_mesh_bundle(world->mesh), NULL) == ERR_NONE);
	struct credentials *made = test_mesh_credentials_until(world->mesh, id, TEST_NOW_S + seconds, bundles);
	bundle_set_unref(bundles);
	return made;
}

void world_run(struct world *world, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		clock_fake_advance(&world->clock, 1);
		loop_run_once(world->loop, false);
		loopback_settle();
	}
}

void world_wait(struct world *world, unsigned num)
{
	enum { AT_ONCE = 20 };
	world_run(world, 1);
	if (num >= AT_ONCE)
		loopback_wait();
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 11));
}

static size_t send_some(int fd, size_t at, size_t len)
{
	uint8_t block[16384];
	len = len < sizeof(block) ? len : sizeof(block);
	for (size_t i = 0; i < len; i++)
		block[i] = pattern(at + i);
	ssize_t sent = len == 0 ? 0 : send(fd, block, len, MSG_NOSIGNAL);
	return sent < 0 ? 0 : (size_t)sent;
}

bool world_transfer(struct world *world, int from, int to, size_t len)
{
	static uint8_t block[65536];
	size_t sent = 0, received = 0;
	for (unsigned silent = 0; received < len && silent < 3000; silent++) {
		for (size_t more = 1; more > 0; sent += more)
			more = send_some(from, sent, len - sent);
		ssize_t got;
		while ((got = recv(to, block, sizeof(block), 0)) > 0) {
			for (ssize_t i = 0; i < got; i++)
				if (block[i] != pattern(received + (size_t)i))
					return false;
			received += (size_t)got;
			silent = 0;
		}
		world_wait(world, silent);
	}
	return received == len;
}
