#include "sidecar/svid/svid_follow.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "base/net/listener.h"
#include "base/net/socket.h"
#include "base/pb/unpack.h"
#include "base/rpc/rpc_server.h"
#include "certs/test_mesh.h"
#include "proto/workload/spiffe.pb-c.h"
#include "sidecar/svid/svid_files.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { NOW_S = 1800000000, LONG_MS = 20000, SHORT_MS = 100 };

struct world {
	char folder[32], *socket;
	int listener; /* -1: none */
	pid_t server; /* 0: none */
};

static int make_world(void **state)
{
	struct world *world = mem_new(struct world);
	struct why why = {0};
	(void)snprintf(world->folder, sizeof(world->folder), "/tmp/svid_follow_XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	world->socket = mem_printf("%s/socket", world->folder);
	assert_int_equal(socket_listen_unix(world->socket, 0600, NULL, &world->listener, &why), ERR_NONE);
	*state = world;
	return 0;
}

static int remove_world(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	if (world->server > 0) {
		kill(world->server, SIGKILL);
		(void)waitpid(world->server, NULL, 0);
	}
	if (world->listener >= 0)
		close(world->listener);
	assert_int_equal(system(command), 0);
	mem_free(world->socket);
	mem_free(world);
	return 0;
}

/* --- the Workload API, in a process of its own: the caller blocks --- */

static void on_start(_unused_ void *arg, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	CHECK(span_eq(rpc_call_metadata(call, "workload.spiffe.io"), SPAN_LITERAL("true")));
}

static void on_message(_unused_ void *arg, struct rpc_call *call, _unused_ struct span message)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(buf_done) struct buf answer = BUF_INIT(10000);
	struct span root = bundle_root(test_mesh_bundle(mesh), 0);
	Handfast__Workload__X509Svid svid = HANDFAST__WORKLOAD__X509_SVID__INIT, *svids[] = {&svid};
	svid.x509_svid = svid.bundle = pb_bytes(root);
	svid.x509_svid_key = pb_bytes(SPAN_LITERAL("a key"));
	Handfast__Workload__X509SvidResponse response = HANDFAST__WORKLOAD__X509_SVID_RESPONSE__INIT;
	response.n_svids = 1;
	response.svids = svids;
	CHECK(pb_pack(&response.base, &answer) == ERR_NONE && rpc_call_send(call, buf_span(&answer)) == ERR_NONE);
}

static void refuse(_unused_ void *arg, struct rpc_call *call, _unused_ struct span message)
{
	rpc_call_finish(call, RPC_PERMISSION_DENIED, "not you; expected: another user; fix: ask an operator", 0);
}

static void on_done(_unused_ void *arg, _unused_ struct rpc_call *call)
{
}

static void on_accept(void *arg, int fd, _unused_ const struct addr *peer)
{
	rpc_server_adopt(arg, transport_new_plain(fd), NULL);
}

static void serve(struct world *world, void (*answer)(void *, struct rpc_call *, struct span))
{
	const struct rpc_method method = {.path = "/SpiffeWorkloadAPI/FetchX509SVID",
		.is_unary = true,
		.on_start = on_start,
		.on_message = answer,
		.on_done = on_done};
	world->server = fork();
	assert_true(world->server >= 0);
	if (world->server == 0) {
		struct loop *loop = loop_new(&clock_system);
		struct rpc_server *server = rpc_server_new(
			&(struct rpc_server_options){.loop = loop, .methods = &method, .num_methods = 1});
		(void)listener_new(loop, world->listener, on_accept, NULL, server);
		loop_run(loop);
		_exit(0);
	}
	close(world->listener);
	world->listener = -1;
}

static enum err followed(const struct world *world, uint32_t once_ms, struct why *why)
{
	return svid_follow(
		&(struct svid_follow_options){
			.socket = world->socket, .folder = world->folder, .is_once = true, .once_ms = once_ms},
		why);
}

static bool has_key(const struct world *world)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/" SVID_KEY_FILE, world->folder);
	return access(path, F_OK) == 0;
}

/* --- tests --- */

static void once_writes_the_first_answer_and_ends(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	serve(world, on_message);
	assert_int_equal(followed(world, LONG_MS, &why), ERR_NONE);
	assert_true(has_key(world));
}

static void once_reports_the_last_failure(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	serve(world, refuse);
	assert_int_not_equal(followed(world, 30 * SHORT_MS, &why), ERR_NONE);
	assert_non_null(strstr(why.got, "not you"));
	assert_string_equal(why.fix, "ask an operator");
	assert_false(has_key(world));
}

static void once_reports_a_server_that_does_not_answer(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	assert_int_equal(followed(world, SHORT_MS, &why), ERR_TIMEOUT); /* it listens and accepts nothing */
	assert_non_null(strstr(why.fix, "handfast why"));
	assert_false(has_key(world));
}

static bool catches(pid_t pid, int signum)
{
	char path[40], line[128];
	uint64_t caught = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "SigCgt:", strlen("SigCgt:")) == 0)
			caught = strtoull(line + strlen("SigCgt:"), NULL, 16);
	if (file != NULL)
		(void)fclose(file);
	return (caught >> (signum - 1) & 1) != 0;
}

static void a_signal_before_the_first_answer_is_no_success(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	int status = 0;
	pid_t caller = getpid(), child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		bool is_caught = WAIT_UNTIL(catches(caller, SIGTERM), (void)0);
		_exit(is_caught ? kill(caller, SIGTERM) : 1);
	}
	assert_int_equal(followed(world, LONG_MS, &why), ERR_TIMEOUT);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)
int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(once_writes_the_first_answer_and_ends),
		IN_WORLD(once_reports_the_last_failure),
		IN_WORLD(once_reports_a_server_that_does_not_answer),
		IN_WORLD(a_signal_before_the_first_answer_is_no_success),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
