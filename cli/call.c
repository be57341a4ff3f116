#include "cli/call.h"
#include "base/core/loop.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_client.h"
#include "cli/cluster/api.h"
#include "cli/cluster/control_forward.h"
#include "cli/commands.h"
#include "cli/confine.h"
#include "cli/refusal.h"
#include <errno.h>
#include <unistd.h>

#define CALL_DEADLINE_MS 10000
#define CONNECT_MS       10000 /* through an API server: as long as a pod's node may take to answer */
#define CALL_ANSWER_MAX  (16u * 1024 * 1024)
#define REQUEST_MAX      65536

struct call_request {
	const char *method; /* "TokenCreate" */
	struct span message;
};

struct exchange {
	const struct call_request *request;
	struct loop *loop;
	struct rpc_client *client;
	struct buf *answer;
	bool was_sent, has_answer, is_over;
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
	const char *text = message == NULL || message[0] == 0 ? rpc_status_name(status) : message;
	if (status == RPC_OK && exchange->has_answer)
		end(exchange, ERR_NONE);
	else if (status == RPC_UNIMPLEMENTED)
		end(exchange, refusal_unimplemented(text, exchange->detail));
	else
		end(exchange, refusal_read(err_of(status), text, exchange->detail));
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
	else {
		exchange->was_sent = true;
		rpc_call_close_send(call);
	}
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

/* The exchange over the descriptor, which it adopts. */
static enum err run(struct exchange *exchange, int fd)
{
	const struct rpc_client_options options = {.loop = exchange->loop,
		.transport = transport_new_plain(fd),
		.authority = "control",
		.connect_timeout_ms = CONNECT_MS,
		.message_max = CALL_ANSWER_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = exchange};
	exchange->client = rpc_client_new(&options);
	loop_run(exchange->loop);
	rpc_client_free(exchange->client);
	return exchange->err;
}

/* --- on this machine --- */

static enum err call_on_machine(
	const char *socket, const struct call_request *request, struct buf *out_answer, struct why *why)
{
	int fd;
	confine();
	enum err err = socket_connect_unix(socket, &fd, why);
	if (err == ERR_DENIED)
		return why_set(why, err, "root or the control plane's own user", "run the command as one of them",
			"this user may not open %s", socket);
	if (err != ERR_NONE)
		return why_set(why, ERR_UNAVAILABLE, "a control plane that runs on this machine",
			"start it, or set --socket; of a cluster give --cluster or --kubeconfig",
			"no program listens at %s", socket);
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	struct exchange exchange = {.request = request, .loop = loop, .answer = out_answer, .detail = why};
	return run(&exchange, fd);
}

/* --- of a cluster --- */

/* By flags; without them where no control plane is on this machine. */
static bool is_for_cluster(const struct command_line *line)
{
	if (command_line_value(line, "socket") != NULL)
		return false;
	return api_is_asked_for(line) ||
	       (access(COMMANDS_SOCKET, F_OK) != 0 && errno == ENOENT && api_has_kubeconfig(line));
}

static enum err explain_cut(const struct control_forward *forward, struct why *why)
{
	const struct why before = *why;
	return why_set(why, ERR_UNAVAILABLE, "an answer of the control plane",
		"see whether it was carried out (`handfast status`, `ban list`, `ca status`); else repeat it",
		"the connection to pod %.63s ended before the answer: %.150s", control_forward_pod(forward),
		before.got);
}

/* The stream stands, and what is at its other end does not answer as a control plane does. */
static enum err explain_other(const struct control_forward *forward, struct why *why)
{
	const struct why before = *why;
	return why_set(why, ERR_UNAVAILABLE, "a control plane that serves operators at that port",
		"check that the pod is one of the control plane, and read its log; install the same release of both",
		"pod %.63s does not answer: %.150s", control_forward_pod(forward), before.got);
}

/* Whether a further replica may be asked: this one has not got the command. */
static bool run_forwarded(struct exchange *exchange, const struct control_forward *forward, int fd)
{
	struct why ended = {0};
	enum err err = run(exchange, fd);
	if (err != ERR_UNAVAILABLE)
		return false;
	enum err cause = control_forward_ended(forward, &ended);
	if (cause != ERR_NONE) {
		*exchange->detail = ended;
		exchange->err = cause;
	}
	if (exchange->was_sent)
		exchange->err = explain_cut(forward, exchange->detail);
	else if (cause == ERR_NONE)
		exchange->err = explain_other(forward, exchange->detail);
	return !exchange->was_sent && exchange->err != ERR_DENIED;
}

static enum err call_cluster(const struct command_line *line, const struct call_request *request, struct answer *out)
{
	_cleanup_(control_forward_freep) struct control_forward *forward = NULL;
	struct exchange exchange = {.err = ERR_UNAVAILABLE};
	int fd;
	bool may_go_on = true;
	RETURN_IF_ERR(control_forward_new(line, &forward, &out->detail));
	while (may_go_on && control_forward_next(forward, &fd) == ERR_NONE) {
		exchange = (struct exchange){.request = request,
			.loop = control_forward_loop(forward),
			.answer = &out->bytes,
			.detail = &out->detail};
		may_go_on = run_forwarded(&exchange, forward, fd);
		mem_free(out->replica);
		out->replica = mem_strdup(control_forward_pod(forward));
	}
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

size_t command_values(struct command_line *line, const char *name, ProtobufCBinaryData out[COMMAND_VALUES_MAX])
{
	char flag[64];
	size_t num = 0;
	(void)snprintf(flag, sizeof flag, "--%s", name);
	for (unsigned i = 0; i < line->num_values; i++) {
		if (strcmp(line->values[i].name, name) != 0)
			continue;
		if (num == COMMAND_VALUES_MAX) {
			command_line_error_text(line, flag, "at most 16 times", "it is given more often");
			break;
		}
		out[num++] = pb_bytes(span_of_str(line->values[i].text));
	}
	return num;
}

void answer_done(struct answer *answer)
{
	pb_arena_freep(&answer->arena);
	buf_wipe(&answer->bytes);
	mem_free(answer->replica);
}

enum err call(const struct command_line *line, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *type, struct answer *out)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(REQUEST_MAX);
	const char *socket = command_line_value(line, "socket");
	buf_init(&out->bytes, CALL_ANSWER_MAX);
	if (request != NULL)
		RETURN_IF_ERR(pb_pack(request, &message));
	const struct call_request request_bytes = {method, buf_span(&message)};
	RETURN_IF_ERR(is_for_cluster(line) ? call_cluster(line, &request_bytes, out)
					   : call_on_machine(socket != NULL ? socket : COMMANDS_SOCKET, &request_bytes,
						     &out->bytes, &out->detail));
	return pb_unpack(type, buf_span(&out->bytes), &out->arena, &out->message, &out->detail);
}
