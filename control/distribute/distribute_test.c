/* The Discovery service as a sidecar uses it: a real gRPC connection over a socket pair, a real store. */
#include "control/distribute/distribute.h"

#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "base/pb/unpack.h"
#include "base/rpc/rpc_client.h"
#include "base/rpc/rpc_server.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
	struct loop *loop;
	struct store *store;
	struct control_config *config, *next_config;
	struct registry *registry;
	struct distributor *distributor;
	struct rpc_server *server;
	struct rpc_client *client;
	struct rpc_call *call;
	struct spiffe_id id;
	bool is_done;
	enum rpc_status status;
	char message[256];
	unsigned num_mesh, num_answers;
	uint64_t mesh_version, answer_version;
	int answer_kind;
	size_t num_endpoints, num_networks;
	char folder[32], path[64];
};

static struct control_config *config_of(const char *networks)
{
	struct control_config *config = NULL;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	char yaml[128];
	snprintf(yaml, sizeof(yaml), "mesh: {networks: [%s]}\n", networks);
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &config), ERR_NONE);
	return config;
}

static void on_change(void *arg, const struct ip_addr *ip)
{
	struct world *world = arg;
	if (world->distributor != NULL)
		distributor_registry_changed(world->distributor, ip);
}

static void on_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	(void)peer;
	struct world *world = arg;
	distribute_start(world->distributor, call, &world->id);
}

static const struct rpc_method methods[] = {{
	.path = DISTRIBUTE_METHOD_PATH,
	.on_start = on_start,
	.on_message = distribute_message,
	.on_half_close = distribute_half_close,
	.on_done = distribute_done,
}};

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	(void)call;
	struct world *world = arg;
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	assert_int_equal(
		pb_unpack(&handfast__v1__discovery_down__descriptor, message, &arena, &unpacked, NULL), ERR_NONE);
	const Handfast__V1__DiscoveryDown *down = (const Handfast__V1__DiscoveryDown *)(const void *)unpacked;
	if (down->kind_case == HANDFAST__V1__DISCOVERY_DOWN__KIND_MESH) {
		world->num_mesh++;
		assert_true(down->mesh->version > world->mesh_version);
		world->mesh_version = down->mesh->version;
		world->num_networks = down->mesh->n_networks;
		return;
	}
	const Handfast__V1__Answer *answer = down->answers->answers[0];
	world->num_answers++;
	assert_true(answer->version > world->answer_version);
	world->answer_version = answer->version;
	world->answer_kind = (int)answer->kind_case;
	world->num_endpoints = answer->kind_case == HANDFAST__V1__ANSWER__KIND_MESHED ? answer->meshed->n_endpoints : 0;
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	(void)call;
	(void)retry_after_ms;
	struct world *world = arg;
	world->is_done = true;
	world->status = status;
	snprintf(world->message, sizeof(world->message), "%s", message == NULL ? "" : message);
}

static void run(struct world *world, const bool *flag, unsigned *counter, unsigned wanted)
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

static void connect_client(struct world *world)
{
	static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};
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
	run(world, &is_ready, NULL, 0);
	assert_int_equal(
		rpc_client_call(world->client, DISTRIBUTE_METHOD_PATH, 0, &handlers, world, &world->call), ERR_NONE);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	world->loop = loop_new(&clock_system);
	snprintf(world->folder, sizeof(world->folder), "/tmp/distribute.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof(world->path), "%s/store", world->folder);
	world->config = config_of("192.0.2.0/24");
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/web"), &world->id, NULL), ERR_NONE);
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->registry = registry_new(world->loop, world->store, world->config,
		&(struct registry_observer){.on_change = on_change, .arg = world});
	world->distributor = distributor_new(world->loop, world->registry, world->config);
	world->server = rpc_server_new(
		&(struct rpc_server_options){.loop = world->loop, .methods = methods, .num_methods = 1, .arg = world});
	connect_client(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
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

static void send_up(struct world *world, Handfast__V1__DiscoveryUp *up)
{
	_cleanup_(buf_done) struct buf wire = BUF_INIT(4096);
	assert_int_equal(pb_pack(&up->base, &wire), ERR_NONE);
	assert_int_equal(rpc_call_send(world->call, buf_span(&wire)), ERR_NONE);
}

static void send_hello(struct world *world, uint32_t version)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	hello.protocol_version = version;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	send_up(world, &up);
}

static void send_subscribe(struct world *world, const char *text)
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
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	send_up(world, &up);
}

static const uint8_t no_key[DIGEST_LEN];

static void on_claimed(void *arg, enum err err, const struct why *why)
{
	(void)why;
	if (arg != NULL)
		*(bool *)arg = true;
	assert_int_equal(err, ERR_NONE);
}

static void the_mesh_comes_first_and_again_when_the_settings_change(void **state)
{
	struct world *world = *state;
	send_hello(world, 1);
	run(world, NULL, &world->num_mesh, 1);
	assert_int_equal(world->num_networks, 1);
	world->next_config = config_of("192.0.2.0/24, 198.51.100.0/24");
	registry_set_config(world->registry, world->next_config);
	distributor_set_config(world->distributor, world->next_config);
	run(world, NULL, &world->num_mesh, 2);
	assert_int_equal(world->num_networks, 2);
}

static void an_answer_follows_its_destination(void **state)
{
	struct world *world = *state;
	struct ip_addr ip;
	send_hello(world, 1);
	send_subscribe(world, "192.0.2.7:80");
	run(world, NULL, &world->num_answers, 1);
	assert_int_equal(world->answer_kind, HANDFAST__V1__ANSWER__KIND_UNKNOWN);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.7"), &ip), ERR_NONE);
	registry_claim(world->registry, &world->id, &ip, no_key, on_claimed, NULL);
	run(world, NULL, &world->num_answers, 2);
	assert_int_equal(world->answer_kind, HANDFAST__V1__ANSWER__KIND_MESHED);
	assert_int_equal(world->num_endpoints, 1);
	/* A change that leaves the answer the same sends nothing. */
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.8"), &ip), ERR_NONE);
	bool is_claimed = false;
	registry_claim(world->registry, &world->id, &ip, no_key, on_claimed, &is_claimed);
	run(world, &is_claimed, NULL, 0);
	for (int i = 0; i < 20; i++) /* what the change sends is in the socket pair by now */
		loop_run_once(world->loop, false);
	assert_int_equal(world->num_answers, 2);
	/* A repeated subscription is answered again. */
	send_subscribe(world, "192.0.2.7:80");
	run(world, NULL, &world->num_answers, 3);
}

static bool policies_are_known, concerns_web;
static unsigned num_in_force;

static bool is_known(void *arg)
{
	(void)arg;
	return policies_are_known;
}

static void find_none(void *arg, const struct spiffe_id *id, struct policy_found *out)
{
	(void)arg;
	assert_string_equal(id->text, "spiffe://cluster.local/web");
	out->num = 0;
}

static bool concerns(void *arg, const struct spiffe_id *id)
{
	(void)arg;
	(void)id;
	return concerns_web;
}

static void count_in_force(void *arg, const struct spiffe_id *id, bool is_in_force)
{
	(void)arg;
	(void)id;
	num_in_force += is_in_force;
}

static void send_ack(struct world *world, uint64_t version)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__DiscoveryAck ack = HANDFAST__V1__DISCOVERY_ACK__INIT;
	ack.version = version;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_ACK;
	up.ack = &ack;
	send_up(world, &up);
	for (int i = 0; i < 20; i++)
		loop_run_once(world->loop, false);
	num_in_force = 0;
	distributor_each_sidecar(world->distributor, count_in_force, NULL);
}

static void K14_a_policy_waits_for_its_source_and_goes_to_those_that_it_concerns(void **state)
{
	struct world *world = *state;
	policies_are_known = concerns_web = false;
	distributor_set_policies(world->distributor, &(struct policy_source){is_known, find_none, NULL});
	send_hello(world, 1);
	send_subscribe(world, "192.0.2.7:80");
	run(world, NULL, &world->num_answers, 1);
	assert_int_equal(world->num_mesh, 0);
	policies_are_known = true;
	distributor_policies_changed(world->distributor, concerns, NULL);
	run(world, NULL, &world->num_mesh, 1);
	send_ack(world, world->answer_version);
	assert_int_equal(num_in_force, 0); /* an answer was confirmed, not the policy */
	uint64_t marks = distributor_policy_marks(world->distributor);
	send_ack(world, world->mesh_version);
	assert_int_equal(num_in_force, 1);
	assert_true(distributor_policy_marks(world->distributor) > marks);
	distributor_policies_changed(world->distributor, concerns, NULL);
	send_ack(world, world->mesh_version);
	assert_true(num_in_force == 1 && world->num_mesh == 1);
	concerns_web = true;
	distributor_policies_changed(world->distributor, concerns, NULL);
	num_in_force = 0;
	distributor_each_sidecar(world->distributor, count_in_force, NULL);
	assert_int_equal(num_in_force, 0);
	run(world, NULL, &world->num_mesh, 2);
	send_ack(world, world->mesh_version);
	assert_int_equal(num_in_force, 1);
}

static void a_stream_begins_with_hello(void **state)
{
	struct world *world = *state;
	send_subscribe(world, "192.0.2.7:80");
	run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
	assert_non_null(strstr(world->message, "hello"));
}

static void an_unknown_version_is_refused_with_its_reason(void **state)
{
	struct world *world = *state;
	send_hello(world, 9);
	run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
	assert_non_null(strstr(world->message, "version 9"));
}

static void c4_bytes_that_are_not_a_message_end_the_stream(void **state)
{
	struct world *world = *state;
	assert_int_equal(rpc_call_send(world->call, SPAN_LITERAL("\xff\xff\xff")), ERR_NONE);
	run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(the_mesh_comes_first_and_again_when_the_settings_change),
		STORY(an_answer_follows_its_destination),
		STORY(K14_a_policy_waits_for_its_source_and_goes_to_those_that_it_concerns),
		STORY(a_stream_begins_with_hello),
		STORY(an_unknown_version_is_refused_with_its_reason),
		STORY(c4_bytes_that_are_not_a_message_end_the_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
