#include "control/distribute/test_stream.h"

#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "base/pb/unpack.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

const char *test_stream_services = "";

struct control_config *test_stream_config(const char *networks)
{
	struct control_config *config = NULL;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	char yaml[512];
	snprintf(yaml, sizeof(yaml), "mesh: {networks: [%s]}\n%s", networks, test_stream_services);
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &config), ERR_NONE);
	return config;
}

static void on_change(void *arg, const struct ip_addr *ip)
{
	struct test_stream *world = arg;
	if (world->distributor != NULL)
		distributor_registry_changed(world->distributor, ip);
}

static void on_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	(void)peer;
	struct test_stream *world = arg;
	distribute_start(world->distributor, call, &world->id, &world->from);
}

static const struct rpc_method methods[] = {{
	.path = DISTRIBUTE_METHOD_PATH,
	.on_start = on_start,
	.on_message = distribute_message,
	.on_half_close = distribute_half_close,
	.on_done = distribute_done,
}};

static void note_services(struct test_stream *world, const Handfast__V1__MeshState *mesh)
{
	size_t len = 0;
	world->services[0] = '\0';
	world->zone = mesh->zone;
	for (size_t i = 0; i < mesh->n_services; i++) {
		char text[ADDR_TEXT_MAX];
		struct ip_addr ip;
		const ProtobufCBinaryData *name = &mesh->services[i]->name;
		assert_int_equal(ip_addr_from_bytes(pb_span(mesh->services[i]->ip), &ip), ERR_NONE);
		len += (size_t)snprintf(world->services + len, sizeof(world->services) - len, "%.*s %s; ",
			(int)name->len, (const char *)name->data, ip_addr_format(&ip, text));
	}
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct test_stream *world = arg;
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	assert_int_equal(
		pb_unpack(&handfast__v1__discovery_down__descriptor, message, &arena, &unpacked, NULL), ERR_NONE);
	const Handfast__V1__DiscoveryDown *down = (const Handfast__V1__DiscoveryDown *)(const void *)unpacked;
	if (down->kind_case == HANDFAST__V1__DISCOVERY_DOWN__KIND_MESH) {
		world->num_mesh++;
		if (call == world->call) { /* streams have versions of their own */
			assert_true(down->mesh->version > world->mesh_version);
			world->mesh_version = down->mesh->version;
		}
		world->num_networks = down->mesh->n_networks;
		note_services(world, down->mesh);
		return;
	}
	const Handfast__V1__Answer *answer = down->answers->answers[0];
	world->num_answers++;
	/* Answers about several destinations have no order. */
	bool is_same = span_eq(pb_span(answer->destination->ip), ip_addr_bytes(&world->answered));
	assert_true(!is_same || answer->version > world->answer_version);
	assert_int_equal(ip_addr_from_bytes(pb_span(answer->destination->ip), &world->answered), ERR_NONE);
	world->answer_version = answer->version;
	world->num_in_message = down->answers->n_answers;
	assert_int_equal(answer->digest.len, sizeof world->digest);
	memcpy(world->digest, answer->digest.data, sizeof world->digest);
	world->answer_kind = (int)answer->kind_case;
	world->num_endpoints = answer->kind_case == HANDFAST__V1__ANSWER__KIND_MESHED ? answer->meshed->n_endpoints : 0;
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	(void)call;
	(void)retry_after_ms;
	struct test_stream *world = arg;
	world->is_done = true;
	world->status = status;
	snprintf(world->message, sizeof(world->message), "%s", message == NULL ? "" : message);
}

void test_stream_run(struct test_stream *world, const bool *flag, unsigned *counter, unsigned wanted)
{
	(void)WAIT_UNTIL(
		(flag != NULL && *flag) || (counter != NULL && *counter >= wanted), loop_run_once(world->loop, false));
	if (flag != NULL)
		assert_true(*flag);
	else
		assert_int_equal(*counter, wanted);
}

static bool is_ready;

static void on_ready(void *arg, struct rpc_client *client)
{
	(void)arg;
	(void)client;
	is_ready = true;
}

void test_stream_call(struct test_stream *world)
{
	static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};
	assert_int_equal(
		rpc_client_call(world->client, DISTRIBUTE_METHOD_PATH, 0, &handlers, world, &world->call), ERR_NONE);
	world->mesh_version = 0;
}

void test_stream_connect(struct test_stream *world)
{
	int ends[2];
	struct addr from = {0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	rpc_server_adopt(world->server, transport_new_plain(ends[0]), &from);
	struct rpc_client_options options = {.loop = world->loop,
		.transport = transport_new_plain(ends[1]),
		.authority = "control",
		.on_ready = on_ready,
		.arg = world};
	is_ready = false;
	world->client = rpc_client_new(&options);
	test_stream_run(world, &is_ready, NULL, 0);
	test_stream_call(world);
}

int test_stream_set_up(void **state)
{
	struct test_stream *world = mem_new(struct test_stream);
	world->loop = loop_new(&clock_system);
	snprintf(world->folder, sizeof(world->folder), "/tmp/distribute.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof(world->path), "%s/store", world->folder);
	world->config = test_stream_config("192.0.2.0/24");
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/web"), &world->id, NULL), ERR_NONE);
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->registry = registry_new(world->loop, world->store, world->config,
		&(struct registry_observer){.on_change = on_change, .arg = world});
	world->distributor = distributor_new(world->loop, world->registry, world->config);
	world->server = rpc_server_new(
		&(struct rpc_server_options){.loop = world->loop, .methods = methods, .num_methods = 1, .arg = world});
	test_stream_connect(world);
	*state = world;
	return 0;
}

int test_stream_tear_down(void **state)
{
	struct test_stream *world = *state;
	char command[64];
	rpc_client_free(world->client);
	rpc_server_free(world->server);
	distributor_free(world->distributor);
	registry_free(world->registry);
	store_close(world->store);
	loop_run_once(world->loop, false);
	loop_free(world->loop);
	control_config_free(world->config);
	if (world->next_config != NULL)
		control_config_free(world->next_config);
	spiffe_id_done(&world->id);
	snprintf(command, sizeof(command), "rm -r %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

void test_stream_send(struct test_stream *world, Handfast__V1__DiscoveryUp *up)
{
	_cleanup_(buf_done) struct buf wire = BUF_INIT(4096);
	assert_int_equal(pb_pack(&up->base, &wire), ERR_NONE);
	assert_int_equal(rpc_call_send(world->call, buf_span(&wire)), ERR_NONE);
}

void test_stream_hello(struct test_stream *world, uint32_t version)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	hello.protocol_version = version;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	test_stream_send(world, &up);
}

void test_stream_subscribe_knowing(struct test_stream *world, const char *text, const uint8_t *known)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress address = HANDFAST__V1__SOCKET_ADDRESS__INIT, *list[] = {&address};
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	address.ip = pb_bytes(ip_addr_bytes(&addr.ip));
	address.port = addr.port;
	subscribe.destinations = list;
	subscribe.n_destinations = 1;
	ProtobufCBinaryData digest = pb_bytes(span_of(known, 16));
	subscribe.known = &digest;
	subscribe.n_known = known == NULL ? 0 : 1;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	test_stream_send(world, &up);
}

void test_stream_subscribe(struct test_stream *world, const char *text)
{
	test_stream_subscribe_knowing(world, text, NULL);
}
