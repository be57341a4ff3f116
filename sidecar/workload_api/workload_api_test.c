#include "sidecar/workload_api/workload_api.h"

#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_client.h"
#include "certs/test_mesh.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { NOW_S = 1800000000, ROUNDS = 40 };

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct test_mesh *mesh;
	struct workload_api *api;
	struct rpc_client *client;
	char folder[32], *path;
};

struct call {
	struct rpc_call *call;
	unsigned num_messages;
	size_t last_len;
	bool is_done;
	enum rpc_status status;
};

static void rounds(struct world *world)
{
	for (int i = 0; i < ROUNDS; i++)
		loop_run_once(world->loop, false);
}

static void pass(struct world *world, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		clock_fake_advance(&world->clock, 1000);
		rounds(world);
	}
}

static void connect_with(struct world *world, const char *name)
{
	struct why why = {0};
	int fd;
	rpc_client_free(world->client);
	assert_int_equal(socket_connect_unix(world->path, &fd, &why), ERR_NONE);
	world->client = rpc_client_new(&(struct rpc_client_options){.loop = world->loop,
		.transport = transport_new_plain(fd),
		.authority = "localhost",
		.metadata = {{name, "true"}}});
	rounds(world);
}

static int make_world(void **state)
{
	struct world *world = mem_new(struct world);
	struct why why = {0};
	clock_fake_init(&world->clock, (int64_t)NOW_S * 1000);
	world->loop = loop_new(&world->clock.clock);
	world->mesh = test_mesh_new("example.org", NOW_S);
	(void)snprintf(world->folder, sizeof(world->folder), "/tmp/workload_api_XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	world->path = mem_printf("%s/socket", world->folder);
	const struct workload_api_options options = {.loop = world->loop, .path = world->path};
	assert_int_equal(workload_api_new(&options, &world->api, &why), ERR_NONE);
	connect_with(world, "workload.spiffe.io");
	*state = world;
	return 0;
}

static int remove_world(void **state)
{
	struct world *world = *state;
	rpc_client_free(world->client);
	workload_api_free(world->api);
	assert_int_equal(rmdir(world->folder), 0); /* the socket is gone */
	test_mesh_free(world->mesh);
	loop_free(world->loop);
	mem_free(world->path);
	mem_free(world);
	return 0;
}

static void on_message(void *arg, _unused_ struct rpc_call *rpc_call, struct span message)
{
	struct call *call = arg;
	call->num_messages++;
	call->last_len = message.len;
}

static void on_done(void *arg, _unused_ struct rpc_call *rpc_call, enum rpc_status status, _unused_ const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct call *call = arg;
	call->is_done = true;
	call->status = status;
}

static void begin(struct world *world, struct call *call, const char *path)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	*call = (struct call){0};
	assert_int_equal(rpc_client_call(world->client, path, 0, &handlers, call, &call->call), ERR_NONE);
	assert_int_equal(rpc_call_send(call->call, SPAN_LITERAL("")), ERR_NONE);
	rpc_call_close_send(call->call);
	rounds(world);
}

static void set(struct world *world)
{
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(world->mesh, "spiffe://example.org/app");
	workload_api_set_credentials(world->api, credentials);
	rounds(world);
}

#define SVID    "/SpiffeWorkloadAPI/FetchX509SVID"
#define BUNDLES "/SpiffeWorkloadAPI/FetchX509Bundles"

static void pushes_each_new_state(void **state)
{
	struct world *world = *state;
	struct call svid, bundles;
	set(world);
	begin(world, &svid, SVID);
	begin(world, &bundles, BUNDLES);
	assert_int_equal(svid.num_messages, 1);
	assert_int_equal(bundles.num_messages, 1);
	set(world);
	assert_int_equal(svid.num_messages, 2);
	assert_int_equal(bundles.num_messages, 2);
	assert_false(svid.is_done);
}

static void a_call_before_the_identity_waits_ten_seconds(void **state)
{
	struct world *world = *state;
	struct call early, late;
	begin(world, &early, SVID);
	pass(world, 9);
	assert_false(early.is_done);
	set(world);
	assert_int_equal(early.num_messages, 1);
	workload_api_set_credentials(world->api, NULL);
	begin(world, &late, SVID);
	pass(world, 11);
	assert_true(late.is_done);
	assert_int_equal(late.status, RPC_PERMISSION_DENIED);
	assert_int_equal(late.num_messages, 0);
}

static void an_expired_identity_ends_the_stream(void **state)
{
	struct world *world = *state;
	struct call svid;
	set(world);
	begin(world, &svid, SVID);
	workload_api_set_credentials(world->api, NULL);
	rounds(world);
	assert_true(svid.is_done);
	assert_int_equal(svid.status, RPC_PERMISSION_DENIED);
	set(world); /* nothing is sent to the ended one */
	assert_int_equal(svid.num_messages, 1);
}

#define SDS "/envoy.service.secret.v3.SecretDiscoveryService/"

/* The empty message names no secret. */
static void a_request_for_no_secret_waits_for_nothing(void **state)
{
	struct world *world = *state;
	struct call stream, fetch;
	begin(world, &stream, SDS "StreamSecrets");
	set(world);
	pass(world, 11);
	assert_false(stream.is_done);
	assert_int_equal(stream.num_messages, 0);
	begin(world, &fetch, SDS "FetchSecrets");
	assert_true(fetch.is_done);
	assert_int_equal(fetch.status, RPC_INVALID_ARGUMENT);
}

static void W8_a_call_without_the_header_is_refused(void **state)
{
	struct world *world = *state;
	struct call svid;
	set(world);
	connect_with(world, NULL);
	begin(world, &svid, SVID);
	assert_int_equal(svid.status, RPC_INVALID_ARGUMENT);
	assert_int_equal(svid.num_messages, 0);
	connect_with(world, "workload-spiffe-io");
	begin(world, &svid, BUNDLES);
	assert_int_equal(svid.status, RPC_INVALID_ARGUMENT);
}

static void W5_a_connection_ends_after_an_hour(void **state)
{
	struct world *world = *state;
	struct call svid;
	set(world);
	begin(world, &svid, SVID);
	pass(world, 3590);
	assert_false(svid.is_done);
	pass(world, 20);
	assert_true(svid.is_done);
	assert_int_equal(svid.status, RPC_UNAVAILABLE);
	connect_with(world, "workload.spiffe.io");
	begin(world, &svid, SVID);
	assert_int_equal(svid.num_messages, 1);
}

static void a_client_that_goes_frees_its_places(void **state)
{
	struct world *world = *state;
	struct call calls[32];
	set(world);
	for (unsigned round = 0; round < 20; round++) { /* 640 calls; 256 at a time */
		for (unsigned i = 0; i < 32; i++)
			begin(world, &calls[i], SVID);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(calls[i].num_messages, 1);
		connect_with(world, "workload.spiffe.io");
	}
}

static void a_reader_that_is_too_slow_is_ended(void **state)
{
	struct world *world = *state;
	struct call svid;
	set(world);
	begin(world, &svid, SVID);
	/* The client's loop is this one: nothing is read between the states. */
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(world->mesh, "spiffe://example.org/app");
	for (unsigned i = 0; i < 100; i++)
		workload_api_set_credentials(world->api, credentials);
	rounds(world);
	assert_true(svid.is_done);
	assert_int_equal(svid.status, RPC_RESOURCE_EXHAUSTED);
	assert_true(svid.num_messages < 100);
}

static void W7_a_link_at_the_path_is_not_followed(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *path = mem_printf("%s/link", world->folder);
	struct workload_api *other = NULL;
	struct why why = {0};
	const struct workload_api_options options = {.loop = world->loop, .path = path};
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(workload_api_new(&options, &other, &why), ERR_EXISTS);
	assert_null(other);
	unlink(path);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(pushes_each_new_state),
		IN_WORLD(a_call_before_the_identity_waits_ten_seconds),
		IN_WORLD(an_expired_identity_ends_the_stream),
		IN_WORLD(a_request_for_no_secret_waits_for_nothing),
		IN_WORLD(W8_a_call_without_the_header_is_refused),
		IN_WORLD(W5_a_connection_ends_after_an_hour),
		IN_WORLD(a_client_that_goes_frees_its_places),
		IN_WORLD(a_reader_that_is_too_slow_is_ended),
		IN_WORLD(W7_a_link_at_the_path_is_not_followed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
