#include "control/distribute/test_sidecars.h"
#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "base/settings/settings.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct counted world_count(const struct world *world)
{
	const struct distributor_counts *counts = distributor_counts(world->distributor);
	return (struct counted){
		registry_num_resolutions(world->registry), counts->num_encoded, counts->num_sent, counts->num_slices};
}

struct counted world_since(const struct world *world, struct counted before)
{
	struct counted now = world_count(world);
	return (struct counted){now.resolved - before.resolved, now.encoded - before.encoded, now.sent - before.sent,
		now.slices - before.slices};
}

static void on_change(void *arg, const struct ip_addr *ip)
{
	struct world *world = arg;
	if (world->distributor != NULL)
		distributor_registry_changed(world->distributor, ip);
}

static void on_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	struct world *world = arg;
	(void)peer;
	distribute_start(
		world->distributor, call, &world->sidecars[SIDECARS - 1].id, &world->sidecars[SIDECARS - 1].ip);
}

static const struct rpc_method methods[] = {{
	.path = DISTRIBUTE_METHOD_PATH,
	.on_start = on_start,
	.on_message = distribute_message,
	.on_half_close = distribute_half_close,
	.on_done = distribute_done,
}};

static size_t take_length(struct span *bytes)
{
	size_t len = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = *bytes->ptr;
		*bytes = span_of(bytes->ptr + 1, bytes->len - 1);
		len |= (size_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return len;
	}
}

/* Answers have one field, each of them. */
static unsigned count_answers(struct span bytes)
{
	unsigned num = 0;
	for (; bytes.len > 0; num++) {
		bytes = span_of(bytes.ptr + 1, bytes.len - 1);
		size_t len = take_length(&bytes);
		bytes = span_of(bytes.ptr + len, bytes.len - len);
	}
	return num;
}

/* Field 1 of DiscoveryDown is the mesh's state, field 2 has answers. */
static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	const struct sidecar *sidecar = arg;
	(void)call;
	struct span rest = span_of(message.ptr + 1, message.len - 1);
	(void)take_length(&rest);
	if (message.ptr[0] >> 3 == 1)
		sidecar->world->num_mesh++;
	else
		sidecar->world->num_answers += count_answers(rest);
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	(void)arg;
	(void)call;
	(void)retry_after_ms;
	fail_msg("a stream ended: %d %s", (int)status, message);
}

static void on_ready(void *arg, struct rpc_client *client)
{
	(void)client;
	((struct world *)arg)->num_ready++;
}

void world_run_until(struct world *world, const unsigned *counter, unsigned wanted)
{
	struct timespec now, start;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		loop_run_once(world->loop, true);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (*counter < wanted && now.tv_sec - start.tv_sec < 60);
	assert_int_equal(*counter, wanted);
}

static void on_pause(struct loop_timer *timer)
{
	timer->on_deadline = NULL;
}

void world_settle(struct world *world)
{
	struct loop_timer pause = {0};
	uint64_t sent;
	do {
		sent = world_count(world).sent;
		loop_timer_start(world->loop, &pause, 100, on_pause);
		while (pause.on_deadline != NULL)
			loop_run_once(world->loop, true);
	} while (world_count(world).sent != sent || world->num_answers != sent);
}

/* --- the sidecars --- */

static void send_up(struct sidecar *sidecar, Handfast__V1__DiscoveryUp *up)
{
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	assert_int_equal(pb_pack(&up->base, &wire), ERR_NONE);
	assert_int_equal(rpc_call_send(sidecar->call, buf_span(&wire)), ERR_NONE);
}

static void send_hello(struct sidecar *sidecar)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	hello.protocol_version = 1;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	send_up(sidecar, &up);
}

void sidecar_subscribe(struct sidecar *sidecar, uint8_t kind, unsigned num)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress addresses[1024], *list[1024];
	uint8_t bytes[1024][16];
	for (unsigned i = 0; i < num; i++) {
		memcpy(bytes[i], (uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, 0, kind}, 16);
		bytes[i][14] = (uint8_t)((i + 1) >> 8);
		bytes[i][15] = (uint8_t)(i + 1);
		handfast__v1__socket_address__init(&addresses[i]);
		addresses[i].ip = pb_bytes(span_of(bytes[i], 16));
		addresses[i].port = 80;
		list[i] = &addresses[i];
	}
	subscribe.destinations = list;
	subscribe.n_destinations = num;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	send_up(sidecar, &up);
}

void world_on_claimed(void *arg, enum err err, const struct why *why)
{
	(void)why;
	assert_int_equal(err, ERR_NONE);
	((struct world *)arg)->num_claimed++;
}

void sidecar_come(struct world *world, unsigned number)
{
	static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};
	struct sidecar *sidecar = &world->sidecars[number];
	registry_claim(world->registry, &sidecar->id, &sidecar->ip, sidecar->key_hash, world_on_claimed, world);
	assert_int_equal(rpc_client_call(world->clients[number / STREAMS_PER_CONNECTION], DISTRIBUTE_METHOD_PATH, 0,
				 &handlers, sidecar, &sidecar->call),
		ERR_NONE);
	send_hello(sidecar);
	sidecar_subscribe(sidecar, 2, SERVICES);
}

void sidecar_go(struct world *world, unsigned number)
{
	struct sidecar *sidecar = &world->sidecars[number];
	rpc_call_cancel(sidecar->call);
	registry_stream_closed(world->registry, &sidecar->id, &sidecar->ip);
}

static void sidecar_name(struct world *world, unsigned number)
{
	struct sidecar *sidecar = &world->sidecars[number];
	char id[64], ip[64];
	sidecar->world = world;
	memcpy(sidecar->key_hash, &number, sizeof(number));
	snprintf(id, sizeof(id),
		number < SERVICES * ENDPOINTS ? "spiffe://cluster.local/service-%u"
					      : "spiffe://cluster.local/caller-%u",
		number < SERVICES * ENDPOINTS ? number / ENDPOINTS : number);
	snprintf(ip, sizeof(ip), "2001:db8:1::%x", number + 1);
	assert_int_equal(spiffe_id_parse(span_of_str(id), &sidecar->id, NULL), ERR_NONE);
	assert_int_equal(ip_addr_parse(span_of_str(ip), &sidecar->ip), ERR_NONE);
}

/* --- the world --- */

static struct control_config *config_make(void)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	struct control_config *config = NULL;
	char yaml[1024];
	int len = snprintf(yaml, sizeof(yaml), "mesh: {networks: ['2001:db8::/32']}\nservices:\n");
	for (unsigned i = 0; i < SERVICES; i++)
		len += snprintf(yaml + len, sizeof(yaml) - (size_t)len,
			"  - {name: service-%u, address: '2001:db8:2::%u', ports: [{port: 80, target: 8080}], "
			"identity: spiffe://cluster.local/service-%u}\n",
			i, i + 1, i);
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &config), ERR_NONE);
	return config;
}

static void connect_client(struct world *world, unsigned number)
{
	int ends[2];
	struct addr from = {0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	rpc_server_adopt(world->server, transport_new_plain(ends[0]), &from);
	world->clients[number] = rpc_client_new(&(struct rpc_client_options){.loop = world->loop,
		.transport = transport_new_plain(ends[1]),
		.authority = "control",
		.on_ready = on_ready,
		.arg = world});
}

int world_set_up(void **state)
{
	struct world *world = mem_new(struct world);
	world->loop = loop_new(&clock_system);
	snprintf(world->folder, sizeof(world->folder), "/tmp/scale.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof(world->path), "%s/store", world->folder);
	world->config = config_make();
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->registry = registry_new(world->loop, world->store, world->config,
		&(struct registry_observer){.on_change = on_change, .arg = world});
	world->distributor = distributor_new(world->loop, world->registry, world->config);
	world->server = rpc_server_new(&(struct rpc_server_options){.loop = world->loop,
		.methods = methods,
		.num_methods = 1,
		.max_streams = STREAMS_PER_CONNECTION,
		.arg = world});
	for (unsigned i = 0; i < CONNECTIONS; i++)
		connect_client(world, i);
	world_run_until(world, &world->num_ready, CONNECTIONS);
	for (unsigned i = 0; i < SIDECARS; i++)
		sidecar_name(world, i);
	for (unsigned i = 0; i < SIDECARS; i++) {
		sidecar_come(world, i);
		if (i % 100 == 0)
			loop_run_once(world->loop, false);
	}
	world_run_until(world, &world->num_claimed, SIDECARS);
	world_run_until(world, &world->num_mesh, SIDECARS);
	world_settle(world);
	*state = world;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *world = *state;
	char command[64];
	for (unsigned i = 0; i < SIDECARS; i++)
		spiffe_id_done(&world->sidecars[i].id);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		rpc_client_free(world->clients[i]);
	rpc_server_free(world->server);
	distributor_free(world->distributor);
	registry_free(world->registry);
	store_close(world->store);
	loop_run_once(world->loop, false);
	loop_free(world->loop);
	control_config_free(world->config);
	snprintf(command, sizeof(command), "rm -r %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}
