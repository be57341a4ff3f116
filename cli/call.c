#include "cli/call.h"
#include "base/core/loop.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_client.h"
#include "cli/commands.h"
#include "cli/refusal.h"

#define CALL_DEADLINE_MS 10000
#define CALL_ANSWER_MAX  (16u * 1024 * 1024)
#define REQUEST_MAX      65536

struct call_request {
	const char *socket; /* path of the Unix socket */
	const char *method; /* "TokenCreate" */
	struct span message;
};

struct exchange {
	const struct call_request *request;
	struct loop *loop;
	struct rpc_client *client;
	struct buf *answer;
	bool has_answer, is_over;
	enum err err;
	struct why *detail;
};

static void end(struct exchange *exchange, enum err err)
{
	exchange->is_over = true;
	exchange->err = err;
	loop_stop(exchange->loop);
}

static enum err err_of(enum rpc_status status)
{
	if (status == RPC_PERMISSION_DENIED || status == RPC_UNAUTHENTICATED)
		return ERR_DENIED;
	return status == RPC_UNAVAILABLE || status == RPC_DEADLINE_EXCEEDED ? ERR_UNAVAILABLE : ERR_REFUSED;
}

static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct exchange *exchange = arg;
	exchange->has_answer = buf_append(exchange->answer, message) == ERR_NONE;
}

static void on_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct exchange *exchange = arg;
	if (status == RPC_OK && exchange->has_answer)
		end(exchange, ERR_NONE);
	else
		end(exchange, refusal_read(err_of(status),
				      message == NULL || message[0] == 0 ? rpc_status_name(status) : message,
				      exchange->detail));
}

static void on_ready(void *arg, struct rpc_client *client)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct exchange *exchange = arg;
	struct rpc_call *call;
	_cleanup_(mem_freep) char *path = mem_printf("/handfast.v1.Operator/%s", exchange->request->method);
	enum err err = rpc_client_call(client, path, CALL_DEADLINE_MS, &handlers, exchange, &call);
	if (err == ERR_NONE)
		err = rpc_call_send(call, exchange->request->message);
	if (err != ERR_NONE)
		end(exchange, why_set(exchange->detail, err, "a call", "report this bug", "cannot send the call: %s",
				      err_text(err)));
	else
		rpc_call_close_send(call);
}

static void on_close(void *arg, _unused_ struct rpc_client *client, const struct why *why)
{
	struct exchange *exchange = arg;
	if (exchange->is_over)
		return;
	if (exchange->detail != NULL && why != NULL)
		*exchange->detail = *why;
	end(exchange, ERR_UNAVAILABLE);
}

static enum err call_operator(const struct call_request *request, struct buf *out_answer, struct why *why)
{
	int fd;
	enum err err = socket_connect_unix(request->socket, &fd, why);
	if (err == ERR_DENIED)
		return why_set(why, err, "root or the control plane's own user", "run the command as one of them",
			"this user may not open %s", request->socket);
	if (err != ERR_NONE)
		return why_set(why, ERR_UNAVAILABLE, "a control plane that runs on this machine",
			"start it, or set --socket", "no program listens at %s", request->socket);
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	struct exchange exchange = {.request = request, .loop = loop, .answer = out_answer, .detail = why};
	const struct rpc_client_options options = {.loop = loop,
		.transport = transport_new_plain(fd),
		.authority = "control",
		.message_max = CALL_ANSWER_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = &exchange};
	exchange.client = rpc_client_new(&options);
	loop_run(loop);
	rpc_client_free(exchange.client);
	return exchange.err;
}

const char *command_argument(struct command_line *line, const char *expected)
{
	if (line->num_arguments == 1)
		return line->arguments[0];
	command_line_error_text(line, line->command->words, expected,
		line->num_arguments == 0 ? "no argument is given" : "more arguments are given");
	return NULL;
}

void answer_done(struct answer *answer)
{
	pb_arena_freep(&answer->arena);
	buf_wipe(&answer->bytes);
}

enum err call(const struct command_line *line, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *type, struct answer *out)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(REQUEST_MAX);
	const char *socket = command_line_value(line, "socket");
	buf_init(&out->bytes, CALL_ANSWER_MAX);
	if (request != NULL)
		RETURN_IF_ERR(pb_pack(request, &message));
	const struct call_request operator_call = {
		socket != NULL ? socket : COMMANDS_SOCKET, method, buf_span(&message)};
	RETURN_IF_ERR(call_operator(&operator_call, &out->bytes, &out->detail));
	return pb_unpack(type, buf_span(&out->bytes), &out->arena, &out->message, &out->detail);
}
