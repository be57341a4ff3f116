/* Handfast's gRPC client against other servers: `echo_client PORT [FOLDER]` runs its cases in turn and prints "ok
 * <name>" or "not ok <name>: ..." for each. The server has the methods of echo_server.c. With FOLDER (identity.h) over
 * mutual TLS. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_client.h"
#include "test/interop/identity.h"
#include <stdio.h>
#include <stdlib.h>

enum { LARGE = 3 * 1024 * 1024, MANY = 1000, AT_ONCE = 100 };

struct program;

struct step {
	const char *name, *path;
	struct span message; /* sent num_messages times */
	unsigned num_messages;
	uint32_t deadline_ms;
	bool stays_open;     /* the client does not end its side */
	unsigned cancels_at; /* after that many answers; 0: never */
	enum rpc_status expected;
	unsigned expected_messages;
	size_t expected_bytes;
	const char *expected_text; /* of the last message; NULL: any */
};

struct program {
	struct loop *loop;
	struct rpc_client *client;
	const struct step *steps;
	size_t num_steps, at;
	unsigned num_open, num_answers;
	size_t num_bytes;
	char last_text[16];
	struct loop_timer pause;
	int num_failed;
};

static void next_step(struct program *program);

static void conclude(struct program *program, enum rpc_status status, const char *message)
{
	const struct step *step = &program->steps[program->at++];
	bool is_good = status == step->expected && program->num_answers == step->expected_messages &&
		       program->num_bytes == step->expected_bytes &&
		       (step->expected_text == NULL || strcmp(step->expected_text, program->last_text) == 0);
	program->num_failed += !is_good;
	if (is_good)
		(void)printf("ok %s\n", step->name);
	else
		(void)printf("not ok %s: %s \"%s\", %u messages, %zu bytes, the last begins with \"%s\"\n", step->name,
			rpc_status_name(status), message, program->num_answers, program->num_bytes, program->last_text);
	next_step(program);
}

static void on_pause_over(struct loop_timer *timer)
{
	conclude(container_of(timer, struct program, pause), RPC_CANCELLED, "");
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct program *program = arg;
	const struct step *step = &program->steps[program->at];
	program->num_answers++;
	program->num_bytes += message.len;
	(void)snprintf(program->last_text, sizeof(program->last_text), "%.*s",
		(int)(message.len < 15 ? message.len : 15), (const char *)message.ptr);
	if (program->num_answers != step->cancels_at)
		return;
	rpc_call_cancel(call);
	loop_timer_start(program->loop, &program->pause, 200, on_pause_over);
}

static void on_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct program *program = arg;
	if (--program->num_open == 0)
		conclude(program, status, message);
}

static void next_step(struct program *program)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	if (program->at == program->num_steps) {
		loop_stop(program->loop);
		return;
	}
	const struct step *step = &program->steps[program->at];
	bool is_parallel = step->num_messages == AT_ONCE;
	program->num_answers = 0;
	program->num_bytes = 0;
	program->num_open = is_parallel ? AT_ONCE : 1;
	for (unsigned i = 0; i < program->num_open; i++) {
		struct rpc_call *call;
		CHECK(rpc_client_call(program->client, step->path, step->deadline_ms, &handlers, program, &call) ==
			ERR_NONE);
		for (unsigned j = 0; j < (is_parallel ? 1 : step->num_messages); j++)
			CHECK(rpc_call_send(call, step->message) == ERR_NONE);
		if (!step->stays_open)
			rpc_call_close_send(call);
	}
}

static void on_ready(void *arg, _unused_ struct rpc_client *client)
{
	next_step(arg);
}

static void on_close(void *arg, _unused_ struct rpc_client *client, const struct why *why)
{
	struct program *program = arg;
	char text[512];
	(void)printf("not ok connection: %s\n", why_format(why, text, sizeof(text)));
	program->num_failed++;
	loop_stop(program->loop);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2 || argc == 3);
	struct addr to;
	char *text = mem_printf("127.0.0.1:%s", argv[1]);
	CHECK(addr_parse(span_of_str(text), &to) == ERR_NONE);
	int fd;
	CHECK(socket_connect(&to, &(struct socket_connect_options){0}, &fd) == ERR_NONE);
	uint8_t *large = mem_zalloc(LARGE);
	const struct step steps[] = {
		{"unary", "/interop.Echo/Echo", SPAN_LITERAL("hello"), 1, 0, false, 0, RPC_OK, 1, 5},
		{"empty message", "/interop.Echo/Echo", SPAN_LITERAL(""), 1, 0, false, 0, RPC_OK, 1, 0},
		{"no message", "/interop.Echo/Echo", SPAN_LITERAL(""), 0, 0, false, 0, RPC_OK, 0, 0},
		{"a thousand messages each way", "/interop.Echo/Echo", SPAN_LITERAL("0123456789"), MANY, 0, false, 0,
			RPC_OK, MANY, MANY * 10},
		{"a large message each way", "/interop.Echo/Echo", span_of(large, LARGE), 1, 0, false, 0, RPC_OK, 1,
			LARGE},
		{"a hundred calls at once", "/interop.Echo/Echo", SPAN_LITERAL("x"), AT_ONCE, 0, false, 0, RPC_OK,
			AT_ONCE, AT_ONCE},
		{"status and message", "/interop.Echo/Fail", SPAN_LITERAL("9 not so"), 1, 0, false, 0,
			RPC_FAILED_PRECONDITION, 0, 0},
		{"status while we still send", "/interop.Echo/Fail", SPAN_LITERAL("9 not so"), 1, 0, true, 0,
			RPC_FAILED_PRECONDITION, 0, 0},
		{"unknown method", "/interop.Echo/Nothing", SPAN_LITERAL("x"), 1, 0, false, 0, RPC_UNIMPLEMENTED, 0, 0},
		{"deadline", "/interop.Echo/Silent", SPAN_LITERAL("x"), 1, 300, true, 0, RPC_DEADLINE_EXCEEDED, 0, 0},
		{"cancel after the second answer", "/interop.Echo/Hold", SPAN_LITERAL("x"), 2, 0, true, 2,
			RPC_CANCELLED, 2, 2},
		{"the server saw both end", "/interop.Echo/Ended", SPAN_LITERAL(""), 1, 0, false, 0, RPC_OK, 1, 1, "2"},
		{"an answer over our limit", "/interop.Echo/Count", SPAN_LITERAL("1 5000000"), 1, 0, false, 0,
			RPC_RESOURCE_EXHAUSTED, 0, 0},
		{"many answers to one question", "/interop.Echo/Count", SPAN_LITERAL("200 10000"), 1, 0, false, 0,
			RPC_OK, 200, 2000000},
	};
	struct program program = {
		.loop = loop_new(&clock_system), .steps = steps, .num_steps = sizeof(steps) / sizeof(steps[0])};
	program.client = rpc_client_new(&(struct rpc_client_options){.loop = program.loop,
		.transport = argc == 3 ? identity_transport(identity_read(argv[2], TLS_CLIENT), fd)
				       : transport_new_plain(fd),
		.authority = "interop",
		.send_queue_max = 8 * 1024 * 1024,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = &program});
	loop_run(program.loop);
	rpc_client_free(program.client);
	loop_free(program.loop);
	mem_free(large);
	mem_free(text);
	return program.num_failed == 0 ? 0 : 1;
}
