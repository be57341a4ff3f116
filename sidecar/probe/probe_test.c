/* Probes of real servers: base/http, base/rpc and plain listeners on loopback. */
#include "base/core/mem.h"
#include "base/http/http_get.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_server.h"
#include "sidecar/probe/probe.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
/* cmocka requires the three above */
#include <cmocka.h>

struct world {
	struct loop *loop;
	int fd; /* of a listener; -1: adopted */
	uint16_t port;
	bool is_done;
	unsigned status;
	char text[200];
	const char *raw; /* what a raw server answers */
	unsigned page_status;
	uint8_t health;
	char service[300];
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}}, own;
	world->loop = loop_new(&clock_system);
	assert_int_equal(socket_listen(&at, &(struct socket_listen_options){0}, &world->fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(world->fd, &own), ERR_NONE);
	world->port = own.port;
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	fd_close(world->fd);
	loop_free(world->loop);
	mem_free(world);
	return 0;
}

static void on_done(void *arg, unsigned status, const char *text)
{
	struct world *world = arg;
	world->is_done = true;
	world->status = status;
	(void)snprintf(world->text, sizeof world->text, "%s", text);
}

/* "app/readiness http" and the rest after the port. */
static unsigned run(struct world *world, const char *before, const char *after)
{
	_cleanup_(mem_freep) char *text = mem_printf("%s %u%s", before, world->port, after);
	_cleanup_(probe_spec_done) struct probe_spec spec = {0};
	const struct ip_addr ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	assert_int_equal(probe_spec_parse(text, &spec, NULL), ERR_NONE);
	world->is_done = false;
	(void)probe_start(world->loop, &spec, &ip, on_done, world);
	assert_false(world->is_done);
	while (!world->is_done)
		loop_run_once(world->loop, true);
	return world->status;
}

static void on_page(void *arg, struct http_request *request)
{
	const struct world *world = arg;
	http_answer(request, world->page_status, HTTP_TEXT, SPAN_LITERAL("x"));
}

static void http_status_decides(void **state)
{
	struct world *world = *state;
	const struct http_page page = {.path = "/healthz", .on_get = on_page, .arg = world};
	_cleanup_(http_server_freep) struct http_server *server =
		http_server_new(world->loop, TAKE_FD(world->fd), &page, 1);
	static const unsigned cases[][2] = {{200, 200}, {204, 200}, {302, 200}, {400, 400}, {500, 500}, {503, 503}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		world->page_status = cases[i][0];
		assert_int_equal(run(world, "app/readiness http", " /healthz"), cases[i][1]);
	}
	assert_int_equal(run(world, "app/readiness http", " /other"), 404);
	assert_string_equal(world->text, "the workload answered 404");
}

static void tcp_needs_only_a_listener(void **state)
{
	struct world *world = *state;
	assert_int_equal(run(world, "app/liveness tcp", ""), 200);
	fd_close(TAKE_FD(world->fd));
	assert_int_equal(run(world, "app/liveness tcp", ""), 503);
	assert_non_null(strstr(world->text, "cannot connect"));
}

static void on_raw(void *arg, int fd, _unused_ const struct addr *peer)
{
	const struct world *world = arg;
	char request[2048];
	(void)!recv(fd, request, sizeof request, 0);
	(void)!send(fd, world->raw, strlen(world->raw), MSG_NOSIGNAL);
	fd_close(fd);
}

static void what_is_no_http_is_unhealthy(void **state)
{
	struct world *world = *state;
	struct listener *listener = listener_new(world->loop, TAKE_FD(world->fd), on_raw, NULL, world);
	static const char *const answers[] = {
		"", "HTTP/1.1", "SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 000 \r\n"};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		world->raw = answers[i];
		assert_int_equal(run(world, "app/startup http", " /"), 503);
	}
	listener_free(listener);
}

static void on_check_start(void *arg, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	rpc_call_set_arg(call, arg);
}

/* The protocol's own encoding of field 1: a length of one byte below 128, else of two. */
static void read_service(struct world *world, struct span message)
{
	const uint8_t *at = message.ptr;
	size_t head_len = at[1] < 128 ? 2 : 3;
	size_t len = head_len == 2 ? at[1] : (size_t)(at[1] - 128) + 128 * (size_t)at[2];
	assert_int_equal(at[0], 0x0a);
	assert_int_equal(message.len, head_len + len);
	(void)snprintf(world->service, sizeof world->service, "%.*s", (int)len, (const char *)at + head_len);
}

static void on_check(void *arg, struct rpc_call *call, struct span message)
{
	struct world *world = arg;
	const uint8_t answer[] = {0x08, world->health};
	world->service[0] = '\0';
	if (message.len > 2)
		read_service(world, message);
	if (rpc_call_send(call, span_of(answer, sizeof answer)) == ERR_NONE)
		rpc_call_finish(call, RPC_OK, NULL, 0);
}

static void on_check_done(_unused_ void *arg, _unused_ struct rpc_call *call)
{
}

static void on_grpc(void *arg, int fd, const struct addr *peer)
{
	rpc_server_adopt(*(struct rpc_server **)arg, transport_new_plain(fd), peer);
}

static void the_health_service_decides(void **state)
{
	struct world *world = *state;
	static const struct rpc_method method = {.path = "/grpc.health.v1.Health/Check",
		.is_unary = true,
		.on_start = on_check_start,
		.on_message = on_check,
		.on_done = on_check_done};
	const struct rpc_server_options options = {
		.loop = world->loop, .methods = &method, .num_methods = 1, .arg = world};
	struct rpc_server *server = rpc_server_new(&options);
	struct listener *listener = listener_new(world->loop, TAKE_FD(world->fd), on_grpc, NULL, &server);
	world->health = 1;
	assert_int_equal(run(world, "app/readiness grpc", ""), 200);
	assert_string_equal(world->service, "");
	assert_int_equal(run(world, "app/readiness grpc", " service=a.B"), 200);
	assert_string_equal(world->service, "a.B");
	static const size_t lens[] = {127, 128, 253};
	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		char option[300] = " service=";
		memset(option + strlen(option), 'a', lens[i]);
		assert_int_equal(run(world, "app/readiness grpc", option), 200);
		assert_string_equal(world->service, option + strlen(" service="));
	}
	world->health = 2;
	assert_int_equal(run(world, "app/readiness grpc", ""), 503);
	listener_free(listener);
	rpc_server_free(server);
}

static void on_silence(void *arg, int fd, _unused_ const struct addr *peer)
{
	*(int *)arg = fd;
}

static void a_silent_workload_has_the_specs_timeout_less_a_margin(void **state)
{
	struct world *world = *state;
	int silent = -1;
	struct listener *listener = listener_new(world->loop, TAKE_FD(world->fd), on_silence, NULL, &silent);
	const uint64_t before_ms = loop_now_ms(world->loop);
	assert_int_equal(run(world, "app/startup http", " / timeout=1"), 503);
	assert_string_equal(world->text, "the workload did not answer within 1 s, the probe's timeout");
	assert_true(loop_now_ms(world->loop) - before_ms >= 950);
	fd_close(silent);
	listener_free(listener);
	const struct probe_spec longest = {.timeout_s = PROBE_TIMEOUT_MAX_S};
	assert_int_equal(probe_timeout_ms(&longest), 299950);
}

static void a_probe_that_is_freed_does_not_answer(void **state)
{
	struct world *world = *state;
	_cleanup_(probe_spec_done) struct probe_spec spec = {0};
	const struct ip_addr ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	_cleanup_(mem_freep) char *text = mem_printf("app/readiness http %u /", world->port);
	assert_int_equal(probe_spec_parse(text, &spec, NULL), ERR_NONE);
	struct probe *probe = probe_start(world->loop, &spec, &ip, on_done, world);
	loop_run_once(world->loop, true);
	probe_free(probe);
	loop_run_once(world->loop, false);
	assert_false(world->is_done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(http_status_decides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tcp_needs_only_a_listener, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_http_is_unhealthy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_health_service_decides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_silent_workload_has_the_specs_timeout_less_a_margin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_probe_that_is_freed_does_not_answer, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
