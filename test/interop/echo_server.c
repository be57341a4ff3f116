/* Handfast's gRPC server for other clients: `echo_server [FOLDER]` on 127.0.0.1, its port on the first line of
 * stdout. Plain TCP, or mutual TLS with the identity in FOLDER (identity.h); then each failed handshake is a line on
 * stdout.
 * /interop.Echo/Echo: each message back. Fail: "<status> <text>" is answered with exactly that. Silent: never answers.
 * Count: how many messages "<number> <size>" asks for. Ended: how many calls ended before the server finished them. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/listener.h"
#include "base/rpc/rpc_server.h"
#include "test/interop/identity.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct echo_server {
	struct loop *loop;
	struct rpc_server *rpc;
	struct identity *identity; /* NULL: plain TCP */
	unsigned num_abandoned;
	struct loop_signal drain, stop;
};

struct echo_call {
	struct echo_server *server;
	bool is_finished;
};

static void on_start(void *arg, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	struct echo_call *echo = mem_new(struct echo_call);
	echo->server = arg;
	rpc_call_set_arg(call, echo);
}

static void on_done(void *arg, _unused_ struct rpc_call *call)
{
	struct echo_call *echo = arg;
	echo->server->num_abandoned += !echo->is_finished;
	mem_free(echo);
}

static void finish(struct echo_call *echo, struct rpc_call *call, enum rpc_status status, const char *message)
{
	echo->is_finished = true;
	rpc_call_finish(call, status, message, 0);
}

static void on_echo(_unused_ void *arg, struct rpc_call *call, struct span message)
{
	CHECK(rpc_call_send(call, message) == ERR_NONE);
}

static void on_half_close(void *arg, struct rpc_call *call)
{
	finish(arg, call, RPC_OK, NULL);
}

/* The number at *at; advances *at. */
static size_t take_number(const char **at)
{
	size_t number = 0;
	for (*at += **at == ' '; **at >= '0' && **at <= '9'; ++*at)
		number = number * 10 + (size_t)(**at - '0');
	return number;
}

static void on_fail(void *arg, struct rpc_call *call, struct span message)
{
	char *text = mem_printf("%.*s", (int)message.len, (const char *)message.ptr);
	const char *rest = text;
	size_t status = take_number(&rest);
	finish(arg, call, (enum rpc_status)status, rest + (*rest == ' '));
	mem_free(text);
}

static void on_ignored(_unused_ void *arg, _unused_ struct rpc_call *call, _unused_ struct span message)
{
}

static void on_count(void *arg, struct rpc_call *call, struct span message)
{
	char *text = mem_printf("%.*s", (int)message.len, (const char *)message.ptr);
	const char *rest = text;
	size_t num = take_number(&rest), size = take_number(&rest);
	uint8_t *bytes = mem_zalloc(size + 1);
	enum err err = ERR_NONE;
	for (size_t i = 0; i < num && err == ERR_NONE; i++)
		err = rpc_call_send(call, span_of(bytes, size));
	finish(arg, call, err == ERR_NONE ? RPC_OK : RPC_RESOURCE_EXHAUSTED, err_text(err));
	mem_free(bytes);
	mem_free(text);
}

static void on_ended(void *arg, struct rpc_call *call, _unused_ struct span message)
{
	struct echo_call *echo = arg;
	char *text = mem_printf("%u", echo->server->num_abandoned);
	CHECK(rpc_call_send(call, span_of_str(text)) == ERR_NONE);
	mem_free(text);
}

static enum rpc_status deny(_unused_ void *arg, _unused_ const struct rpc_peer *peer, const char **out_message)
{
	*out_message = "this call is denied";
	return RPC_PERMISSION_DENIED;
}

static const struct rpc_method methods[] = {
	{"/interop.Echo/Echo", false, 0, 0, NULL, on_start, on_echo, on_half_close, on_done},
	{"/interop.Echo/Fail", false, 0, 0, NULL, on_start, on_fail, NULL, on_done},
	{"/interop.Echo/Silent", false, 0, 0, NULL, on_start, on_ignored, NULL, on_done},
	{"/interop.Echo/Count", false, 0, 0, NULL, on_start, on_count, NULL, on_done},
	{"/interop.Echo/Ended", false, 0, 0, NULL, on_start, on_ended, on_half_close, on_done},
	{"/interop.Echo/Denied", false, 0, 0, deny, on_start, on_echo, on_half_close, on_done},
};

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct echo_server *server = arg;
	socket_set_nodelay(fd);
	rpc_server_adopt(server->rpc,
		server->identity != NULL ? identity_transport(server->identity, fd) : transport_new_plain(fd), peer);
}

static void on_handshake_failed(_unused_ void *arg, _unused_ const struct addr *from, const struct why *why)
{
	char text[700];
	(void)printf("handshake failed: %s\n", why_format(why, text, sizeof(text)));
	(void)fflush(stdout);
}

static void on_drain(struct loop_signal *signal)
{
	rpc_server_drain(container_of(signal, struct echo_server, drain)->rpc);
	puts("draining");
	fflush(stdout);
}

static void on_stop(struct loop_signal *signal)
{
	loop_stop(signal->loop);
}

static struct listener *listen_somewhere(struct echo_server *server)
{
	struct addr at;
	struct why why = {0};
	int fd;
	CHECK(ip_addr_from_bytes(SPAN_LITERAL("\x7f\0\0\x01"), &at.ip) == ERR_NONE);
	at.port = 0;
	CHECK(socket_listen(&at, &(struct socket_listen_options){0}, &fd, &why) == ERR_NONE);
	CHECK(socket_local_addr(fd, &at) == ERR_NONE);
	(void)printf("%u\n", at.port);
	(void)fflush(stdout);
	return listener_new(server->loop, fd, on_accept, NULL, server);
}

int main(int argc, char **argv)
{
	struct echo_server server = {.loop = loop_new(&clock_system)};
	if (argc > 1)
		server.identity = identity_read(argv[1], TLS_SERVER);
	server.rpc = rpc_server_new(&(struct rpc_server_options){.loop = server.loop,
		.methods = methods,
		.num_methods = sizeof(methods) / sizeof(methods[0]),
		.send_queue_max = 64 * 1024 * 1024,
		.on_handshake_failed = on_handshake_failed,
		.arg = &server});
	loop_signal_start(server.loop, &server.drain, SIGUSR1, on_drain);
	loop_signal_start(server.loop, &server.stop, SIGTERM, on_stop);
	struct listener *listener = listen_somewhere(&server);
	loop_run(server.loop);
	listener_free(listener);
	rpc_server_free(server.rpc);
	loop_signal_stop(&server.drain);
	loop_signal_stop(&server.stop);
	loop_free(server.loop);
	return 0;
}
