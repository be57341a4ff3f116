#include "base/rpc/test_rpc_pair.h"
#include "base/core/check.h"
#include <stdio.h>
#include <sys/socket.h>

enum { ROUNDS = 60, STEP_MS = 100 };

/* --- the server's methods --- */

static void on_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	struct test_rpc *test = arg;
	CHECK(peer != NULL);
	test->num_starts++;
	test->last_call = call;
	rpc_call_set_arg(call, test);
}

static void on_start_flood(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	static const uint8_t bytes[10000];
	struct test_rpc *test = arg;
	on_start(arg, call, peer);
	while ((test->flood_end = rpc_call_send(call, span_of(bytes, sizeof(bytes)))) == ERR_NONE)
		test->num_flooded++;
}

static void on_echo(void *arg, struct rpc_call *call, struct span message)
{
	struct test_rpc *test = arg;
	test->num_server_messages++;
	(void)!rpc_call_send(call, message);
}

static void on_echo_once(void *arg, struct rpc_call *call, struct span message)
{
	on_echo(arg, call, message);
	rpc_call_finish(call, RPC_OK, NULL, 0);
}

static void on_echo_end(void *arg, struct rpc_call *call)
{
	struct test_rpc *test = arg;
	test->num_half_closes++;
	rpc_call_finish(call, RPC_OK, NULL, 0);
}

static void on_fail(void *arg, struct rpc_call *call, struct span message)
{
	(void)message;
	((struct test_rpc *)arg)->num_server_messages++;
	rpc_call_finish(call, RPC_NOT_FOUND, "no such th\xc3\xafng\n", 1500);
	rpc_call_finish(call, RPC_OK, NULL, 0); /* only the first counts */
}

static void on_ignored(void *arg, struct rpc_call *call, struct span message)
{
	(void)call;
	(void)message;
	((struct test_rpc *)arg)->num_server_messages++;
}

static void on_done(void *arg, struct rpc_call *call)
{
	struct test_rpc *test = arg;
	test->num_dones++;
	if (test->last_call == call)
		test->last_call = NULL;
}

static enum rpc_status deny(void *arg, const struct rpc_peer *peer, const char **out_message)
{
	(void)arg;
	CHECK(rpc_peer_svid(peer) == NULL);
	*out_message = "denied";
	return RPC_PERMISSION_DENIED;
}

static const struct rpc_method methods[] = {
	{"/t/Echo", false, 0, 0, NULL, on_start, on_echo, on_echo_end, on_done},
	{"/t/Fail", false, 0, 0, NULL, on_start, on_fail, NULL, on_done},
	{"/t/Denied", false, 0, 0, deny, on_start, on_echo, on_echo_end, on_done},
	{"/t/Small", false, 10, 0, NULL, on_start, on_echo, on_echo_end, on_done},
	{"/t/Silent", false, 0, 3000, NULL, on_start, on_ignored, NULL, on_done},
	{"/t/Unary", true, 0, 0, NULL, on_start, on_echo_once, NULL, on_done},
	{"/t/UnarySilent", true, 0, 3000, NULL, on_start, on_ignored, NULL, on_done},
	{"/t/Flood", false, 0, 0, NULL, on_start_flood, on_ignored, NULL, on_done},
};

static void on_connect(void *arg, struct rpc_peer *peer)
{
	((struct test_rpc *)arg)->num_connects++;
	((struct test_rpc *)arg)->last_peer = peer;
}

static void on_disconnect(void *arg, struct rpc_peer *peer)
{
	struct test_rpc *test = arg;
	test->num_disconnects++;
	if (test->last_peer == peer)
		test->last_peer = NULL;
}

/* --- the client --- */

static void on_ready(void *arg, struct rpc_client *client)
{
	(void)client;
	((struct test_rpc *)arg)->client_ready = true;
}

static void on_close(void *arg, struct rpc_client *client, const struct why *why)
{
	struct test_rpc *test = arg;
	test->client_closed = true;
	test->client_detail = *why;
	test->client = NULL;
	rpc_client_free(client);
}

static void on_client_message(void *arg, struct rpc_call *call, struct span message)
{
	struct test_rpc_call *client_call = arg;
	CHECK(client_call->call == call);
	client_call->num_messages++;
	CHECK(buf_append(&client_call->received, message) == ERR_NONE);
}

static void on_client_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct test_rpc_call *client_call = arg;
	CHECK(client_call->call == call && !client_call->is_done);
	client_call->call = NULL;
	client_call->is_done = true;
	client_call->status = status;
	client_call->retry_after_ms = retry_after_ms;
	(void)snprintf(client_call->message, sizeof(client_call->message), "%s", message);
}

void test_rpc_call(struct test_rpc *test, struct test_rpc_call *call, const char *path, uint32_t deadline_ms)
{
	static const struct rpc_call_handlers handlers = {on_client_message, on_client_done};
	*call = (struct test_rpc_call){.received = BUF_INIT(64 * 1024 * 1024)};
	CHECK(rpc_client_call(test->client, path, deadline_ms, &handlers, call, &call->call) == ERR_NONE);
}

void test_rpc_unary(struct test_rpc *test, struct test_rpc_call *call, const char *path, struct span message)
{
	test_rpc_call(test, call, path, 0);
	CHECK(rpc_call_send(call->call, message) == ERR_NONE);
	rpc_call_close_send(call->call);
	test_rpc_run(test);
}

/* --- both --- */

void test_rpc_init(struct test_rpc *test, const struct rpc_server_options *server_options)
{
	*test = (struct test_rpc){0};
	clock_fake_init(&test->clock, 0);
	test->loop = loop_new(&test->clock.clock);
	struct rpc_server_options options = *server_options;
	options.loop = test->loop;
	options.methods = methods;
	options.num_methods = sizeof(methods) / sizeof(methods[0]);
	options.arg = test;
	options.on_connect = on_connect;
	options.on_disconnect = on_disconnect;
	test->server = rpc_server_new(&options);
}

int test_rpc_raw(struct test_rpc *test)
{
	int fds[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	rpc_server_adopt(test->server, transport_new_plain(fds[0]), NULL);
	return fds[1];
}

void test_rpc_connect_over(struct test_rpc *test, const struct rpc_client_options *client_options,
	struct transport *client, struct transport *server)
{
	struct rpc_client_options options = *client_options;
	if (server != NULL)
		rpc_server_adopt(test->server, server, NULL);
	options.loop = test->loop;
	options.transport = client;
	options.authority = "test";
	options.on_ready = on_ready;
	options.on_close = on_close;
	options.arg = test;
	test->client = rpc_client_new(&options);
	test_rpc_run(test);
}

void test_rpc_connect(struct test_rpc *test, const struct rpc_client_options *client_options)
{
	test_rpc_connect_over(test, client_options, transport_new_plain(test_rpc_raw(test)), NULL);
}

void test_rpc_done(struct test_rpc *test)
{
	rpc_client_free(test->client);
	rpc_server_free(test->server);
	loop_free(test->loop);
}

void test_rpc_run(struct test_rpc *test)
{
	for (int i = 0; i < ROUNDS; i++)
		loop_run_once(test->loop, false);
}

void test_rpc_wait(struct test_rpc *test, uint64_t ms)
{
	for (uint64_t passed_ms = 0; passed_ms < ms; passed_ms += STEP_MS) {
		clock_fake_advance(&test->clock, STEP_MS);
		for (int i = 0; i < 6; i++)
			loop_run_once(test->loop, false);
	}
}
