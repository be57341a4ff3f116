#include "base/kube/kube_socket.h"
#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/version.h"
#include "base/http/http_answer.h"
#include "base/http/websocket.h"
#include "base/kube/kube_dial.h"
#include "base/kube/kube_status.h"
#include "base/kube/kube_token.h"
#include "base/tls/websocket_accept.h"
#include <strings.h>

enum { CONNECT_MS = 5000, OUT_MAX = 64 * 1024, ANSWER_MAX = 64 * 1024, READ_LEN = 16 * 1024, NONCE_LEN = 16 };

enum state { DIALING, HANDSHAKE, UPGRADING, OPEN, OVER };

struct kube_socket {
	struct kube_socket_options options;
	const struct kube_socket_events *events;
	void *arg;
	enum state state;
	struct web_peer peer;
	struct web_dial *dial;
	struct transport *transport; /* NULL: DIALING */
	struct loop_io io;
	struct loop_timer deadline;
	struct loop_task step, finish;
	struct buf out, answer;
	char key[32]; /* Sec-WebSocket-Key */
	struct websocket websocket;
	unsigned status;
	struct why detail; /* OVER */
};

static void on_finish(struct loop_task *task)
{
	struct kube_socket *socket = container_of(task, struct kube_socket, finish);
	struct why why = socket->detail;
	socket->events->on_end(socket->arg, why.err, socket->status, &why);
}

static void end(struct kube_socket *socket, const struct why *why)
{
	if (socket->state == OVER)
		return;
	socket->state = OVER;
	socket->detail = *why;
	loop_io_stop(&socket->io);
	loop_timer_stop(&socket->deadline);
	loop_task_post(socket->options.loop, &socket->finish, on_finish);
}

static void end_with(struct kube_socket *socket, enum err err, const char *got)
{
	struct why why;
	(void)why_set(&why, err, "an API server of Kubernetes that opens a stream",
		"check the network, and any proxy, between here and the API server", "%s", got);
	end(socket, &why);
}

/* --- the opening handshake --- */

static enum err put_request(struct kube_socket *socket)
{
	_cleanup_(mem_freep) char *authority = web_peer_authority(&socket->peer);
	_cleanup_(buf_done) struct buf key = BUF_INIT(sizeof socket->key - 1);
	struct kube_token token;
	struct buf *out = &socket->out;
	uint8_t nonce[NONCE_LEN], *room;
	RETURN_IF_ERR(buf_reserve(out, OUT_MAX, &room)); /* whole: where it grows, a token would be left behind */
	random_bytes(nonce, sizeof nonce);
	RETURN_IF_ERR(base64_encode(span_of(nonce, sizeof nonce), &key));
	memcpy(socket->key, buf_cstr(&key), buf_len(&key) + 1);
	RETURN_IF_ERR(buf_printf(out,
		"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"User-Agent: handfast/" HANDFAST_VERSION
		"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n",
		socket->options.path, authority, socket->key, socket->options.protocol));
	kube_token_init(&token, socket->options.config);
	enum err err = kube_token_refresh(&token, 0, true, &socket->detail);
	if (err == ERR_NONE && buf_len(&token.text) > 0)
		err = buf_printf(out, "Authorization: Bearer %s\r\n", buf_cstr(&token.text));
	kube_token_done(&token);
	return err != ERR_NONE ? err : buf_append_str(out, "\r\n");
}

static bool has(const struct http_answer *answer, const char *name, const char *value)
{
	struct span found = http_answer_header(answer, name);
	return found.len == strlen(value) && strncasecmp((const char *)found.ptr, value, found.len) == 0;
}

static bool is_upgrade(const struct kube_socket *socket, const struct http_answer *answer)
{
	_cleanup_(buf_done) struct buf proof = BUF_INIT(WEBSOCKET_ACCEPT_LEN);
	return websocket_accept(socket->key, &proof) == ERR_NONE && has(answer, "Upgrade", "websocket") &&
	       span_eq(http_answer_header(answer, "Sec-WebSocket-Accept"), buf_span(&proof)) &&
	       has(answer, "Sec-WebSocket-Protocol", socket->options.protocol);
}

static void refuse(struct kube_socket *socket, const struct http_answer *answer)
{
	struct why why = {0};
	_unused_
	enum err err =
		kube_status_explain(answer->status, answer->body, socket->options.path, "\"get\", \"create\"", &why);
	socket->status = answer->status;
	end(socket, &why);
}

static void take_messages(struct kube_socket *socket, struct span bytes);

static void take_answer(struct kube_socket *socket, struct span bytes, bool is_end)
{
	struct http_answer answer;
	enum err err = buf_append(&socket->answer, bytes);
	if (err == ERR_NONE)
		err = http_answer_read(buf_span(&socket->answer), is_end, &answer);
	if (err == ERR_UNAVAILABLE)
		return;
	if (err != ERR_NONE)
		end_with(socket, ERR_PROTOCOL,
			is_end ? "it closed the connection" : "its answer is not HTTP, or is longer than 64 KiB");
	else if (answer.status != 101)
		refuse(socket, &answer);
	else if (!is_upgrade(socket, &answer))
		end_with(socket, ERR_PROTOCOL, "it agreed to another protocol than WebSocket");
	else {
		socket->state = OPEN;
		socket->events->on_open(socket->arg);
		take_messages(socket, answer.body);
	}
}

/* --- messages --- */

static enum err put_frame(struct kube_socket *socket, enum websocket_opcode opcode, struct span bytes)
{
	uint8_t mask[4];
	random_bytes(mask, sizeof mask);
	return websocket_put(opcode, bytes, mask, &socket->out);
}

static void on_message(void *arg, enum websocket_opcode opcode, struct span bytes)
{
	struct kube_socket *socket = arg;
	if (opcode != WEBSOCKET_PING)
		socket->events->on_message(socket->arg, bytes);
	else if (put_frame(socket, WEBSOCKET_PONG, bytes) != ERR_NONE)
		end_with(socket, ERR_PROTOCOL, "it sends pings and does not read their answers");
}

static void take_messages(struct kube_socket *socket, struct span bytes)
{
	struct why why = {0};
	if (websocket_feed(&socket->websocket, bytes, on_message, socket, &why) != ERR_NONE)
		end(socket, &why);
}

/* --- the connection --- */

static enum io_result read_all(struct kube_socket *socket)
{
	uint8_t bytes[READ_LEN];
	while (socket->state != OVER) {
		size_t len = 0;
		enum io_result result = transport_read(socket->transport, bytes, sizeof bytes, &len);
		if (result == IO_EOF && socket->state == UPGRADING)
			take_answer(socket, (struct span){0}, true);
		if (result != IO_DONE)
			return result;
		if (socket->state == UPGRADING)
			take_answer(socket, span_of(bytes, len), false);
		else
			take_messages(socket, span_of(bytes, len));
	}
	return IO_DONE;
}

static void end_by(struct kube_socket *socket, enum io_result result)
{
	struct why why = {0};
	if (result == IO_FAILED)
		why = *transport_why(socket->transport);
	if (why.err == ERR_NONE)
		(void)why_set(
			&why, ERR_CLOSED, "an open connection", "try again", "the API server closed the connection");
	end(socket, &why);
}

static bool run_handshake(struct kube_socket *socket)
{
	enum io_result result = transport_handshake(socket->transport);
	if (result == IO_WANT_READ || result == IO_WANT_WRITE) {
		loop_io_set_interest(&socket->io, result == IO_WANT_READ ? LOOP_READ : LOOP_WRITE);
		return false;
	}
	if (result != IO_DONE) {
		end_by(socket, result);
		return false;
	}
	socket->state = UPGRADING;
	if (put_request(socket) == ERR_NONE)
		return true;
	struct why why = socket->detail;
	if (why.err == ERR_NONE)
		end_with(socket, ERR_TOO_LARGE, "the request is longer than 64 KiB");
	else
		end(socket, &why);
	return false;
}

static void run(struct kube_socket *socket)
{
	if (socket->state == HANDSHAKE && !run_handshake(socket))
		return;
	enum io_result read = read_all(socket);
	if (socket->state == OVER)
		return;
	enum io_result written = read == IO_WANT_READ ? transport_write_all(socket->transport, &socket->out) : read;
	if (written == IO_EOF || written == IO_FAILED)
		end_by(socket, written);
	else
		loop_io_set_interest(&socket->io, written == IO_WANT_WRITE ? LOOP_WRITE : LOOP_READ);
}

static void on_step(struct loop_task *task)
{
	struct kube_socket *socket = container_of(task, struct kube_socket, step);
	if (socket->state != OVER)
		run(socket);
}

static void on_ready(struct loop_io *io, unsigned is_ready)
{
	(void)is_ready;
	run(container_of(io, struct kube_socket, io));
}

static void on_dialed(void *arg, enum err err, struct transport *transport, const struct why *why)
{
	struct kube_socket *socket = arg;
	socket->transport = transport;
	if (err != ERR_NONE || socket->state == OVER) {
		end(socket, why);
		return;
	}
	socket->state = HANDSHAKE;
	loop_io_start(socket->options.loop, &socket->io, transport_fd(transport), 0, on_ready);
	loop_task_post(socket->options.loop, &socket->step, on_step);
}

static void on_deadline(struct loop_timer *timer)
{
	end_with(container_of(timer, struct kube_socket, deadline), ERR_TIMEOUT, "no answer of the API server in time");
}

struct kube_socket *kube_socket_open(
	const struct kube_socket_options *options, const struct kube_socket_events *events, void *arg)
{
	struct kube_socket *socket = mem_new(struct kube_socket);
	*socket = (struct kube_socket){.options = *options,
		.events = events,
		.state = DIALING,
		.arg = arg,
		.out = BUF_INIT(OUT_MAX),
		.answer = BUF_INIT(ANSWER_MAX)};
	websocket_init(&socket->websocket);
	socket->peer = kube_dial_peer(options->config);
	socket->dial = web_dial_new(options->loop, "http/1.1", on_dialed, socket);
	loop_timer_start(options->loop, &socket->deadline, options->timeout_ms, on_deadline);
	web_dial_start(socket->dial, &socket->peer, CONNECT_MS);
	return socket;
}

void kube_socket_free(struct kube_socket *socket)
{
	if (socket == NULL)
		return;
	loop_io_stop(&socket->io);
	loop_timer_stop(&socket->deadline);
	loop_task_cancel(&socket->step);
	loop_task_cancel(&socket->finish);
	transport_free(socket->transport);
	web_dial_free(socket->dial);
	websocket_done(&socket->websocket);
	buf_wipe(&socket->out); /* a token was in it */
	buf_done(&socket->answer);
	mem_free(socket);
}

enum err kube_socket_send(struct kube_socket *socket, struct span message)
{
	CHECK(socket->state == OPEN || socket->state == OVER);
	if (socket->state == OVER)
		return ERR_NONE; /* on_end follows */
	loop_task_post(socket->options.loop, &socket->step, on_step);
	return put_frame(socket, WEBSOCKET_BINARY, message);
}
