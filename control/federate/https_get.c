#include "control/federate/https_get.h"

#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/version.h"
#include "base/http/http_answer.h"
#include "base/http/http_chunks.h"

#define FIX "check the partner's url in the settings, and its bundle endpoint"

enum {
	CONNECT_MS = 5000,
	HEAD_MAX = 8 * 1024,
	PIECES_MAX = 4096,
	REQUEST_MAX = 4096,
	READ_LEN = 16 * 1024,
	PIECES_PER_ROUND = 8
};

enum state { DIALING, HANDSHAKE, FETCHING, OVER };

struct https_get {
	struct https_get_options options;
	https_get_fn *on_done;
	void *arg;
	enum state state;
	struct web_dial *dial;
	struct transport *transport; /* NULL: DIALING */
	struct loop_io io;
	struct loop_timer deadline;
	struct loop_task step, finish;
	struct buf out, in, body;
	unsigned num_pieces; /* each is looked at: a server that sends single bytes must not cost much */
	struct why detail;   /* OVER; err ERR_NONE: the body is there */
};

static void on_finish(struct loop_task *task)
{
	struct https_get *get = container_of(task, struct https_get, finish);
	struct why why = get->detail;
	get->on_done(get->arg, why.err, buf_span(&get->body), &why);
}

static void end(struct https_get *get, const struct why *why)
{
	if (get->state == OVER)
		return;
	get->state = OVER;
	get->detail = *why;
	loop_io_stop(&get->io);
	loop_timer_stop(&get->deadline);
	loop_task_post(get->options.loop, &get->finish, on_finish);
}

static void end_with(struct https_get *get, enum err err, const char *expected, const char *got)
{
	struct why why = {0};
	(void)why_set(&why, err, expected, FIX, "%s", got);
	end(get, &why);
}

/* --- the answer --- */

static enum err take_body(struct https_get *get, const struct http_answer *answer)
{
	struct span coding = http_answer_header(answer, "Transfer-Encoding");
	buf_init(&get->body, get->options.body_max);
	return coding.ptr != NULL ? http_chunks_join(answer->body, &get->body) : buf_append(&get->body, answer->body);
}

static void refuse_status(struct https_get *get, unsigned status)
{
	struct why why = {0};
	bool is_redirect = status >= 300 && status < 400;
	(void)why_set(&why, ERR_UNSUPPORTED,
		is_redirect ? "the bundle itself: redirects are not followed" : "an answer with status 200", FIX,
		"the bundle endpoint answered with status %u", status);
	end(get, &why);
}

static void take(struct https_get *get, struct span bytes, bool is_end)
{
	static const char expected[] = "an HTTP answer of bounded length (256 KiB)";
	struct http_answer answer;
	const struct why none = {0};
	if (buf_append(&get->in, bytes) != ERR_NONE || ++get->num_pieces > PIECES_MAX) {
		end_with(get, ERR_TOO_LARGE, expected, "the bundle endpoint's answer is longer, or in tiny pieces");
		return;
	}
	enum err err = http_answer_read(buf_span(&get->in), is_end, &answer);
	if (err == ERR_UNAVAILABLE)
		return;
	if (err != ERR_NONE)
		end_with(
			get, ERR_PROTOCOL, expected, is_end ? "it was cut" : "the bundle endpoint does not speak HTTP");
	else if (answer.status != 200)
		refuse_status(get, answer.status);
	else if (take_body(get, &answer) != ERR_NONE)
		end_with(get, ERR_MALFORMED, expected, "its body is too long, or its chunks are broken");
	else
		end(get, &none);
}

/* --- the connection --- */

/* A bounded part per round: who sends fast must not hold the loop. */
static enum io_result read_some(struct https_get *get)
{
	uint8_t bytes[READ_LEN];
	for (unsigned i = 0; i < PIECES_PER_ROUND && get->state != OVER; i++) {
		size_t len = 0;
		enum io_result result = transport_read(get->transport, bytes, sizeof bytes, &len);
		if (result == IO_EOF)
			take(get, (struct span){0}, true);
		if (result != IO_DONE)
			return result;
		take(get, span_of(bytes, len), false);
	}
	return IO_DONE;
}

static void end_by(struct https_get *get, enum io_result result)
{
	struct why why = {0};
	if (result == IO_FAILED)
		why = *transport_why(get->transport);
	if (why.err == ERR_NONE)
		(void)why_set(&why, ERR_CLOSED, "an answer", FIX, "the bundle endpoint closed the connection");
	end(get, &why);
}

static enum err put_request(struct https_get *get)
{
	_cleanup_(mem_freep) char *authority = web_peer_authority(get->options.peer);
	return buf_printf(&get->out,
		"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept: application/json\r\n"
		"User-Agent: handfast/" HANDFAST_VERSION "\r\n\r\n",
		get->options.path, authority);
}

static bool run_handshake(struct https_get *get)
{
	enum io_result result = transport_handshake(get->transport);
	if (result == IO_WANT_READ || result == IO_WANT_WRITE) {
		loop_io_set_interest(&get->io, result == IO_WANT_READ ? LOOP_READ : LOOP_WRITE);
		return false;
	}
	if (result != IO_DONE) {
		end_by(get, result);
		return false;
	}
	get->state = FETCHING;
	if (put_request(get) == ERR_NONE)
		return true;
	end_with(get, ERR_TOO_LARGE, "a url of at most 2048 bytes", "the request does not fit");
	return false;
}

static void on_step(struct loop_task *task);

static void run(struct https_get *get)
{
	if (get->state == OVER || (get->state == HANDSHAKE && !run_handshake(get)))
		return;
	enum io_result written = transport_write_all(get->transport, &get->out);
	enum io_result read = written == IO_DONE || written == IO_WANT_WRITE ? read_some(get) : written;
	if (get->state == OVER)
		return;
	if (read == IO_EOF || read == IO_FAILED)
		end_by(get, read);
	else if (read == IO_DONE) /* more may wait in memory: after the others of this round */
		loop_task_post(get->options.loop, &get->step, on_step);
	else
		loop_io_set_interest(&get->io, LOOP_READ | (written == IO_WANT_WRITE ? LOOP_WRITE : 0));
}

static void on_step(struct loop_task *task)
{
	run(container_of(task, struct https_get, step));
}

static void on_ready(struct loop_io *io, unsigned is_ready)
{
	(void)is_ready;
	run(container_of(io, struct https_get, io));
}

static void on_dialed(void *arg, enum err err, struct transport *transport, const struct why *why)
{
	struct https_get *get = arg;
	get->transport = transport;
	if (err != ERR_NONE || get->state == OVER) {
		end(get, why);
		return;
	}
	get->state = HANDSHAKE;
	loop_io_start(get->options.loop, &get->io, transport_fd(transport), 0, on_ready);
	loop_task_post(get->options.loop, &get->step, on_step);
}

static void on_deadline(struct loop_timer *timer)
{
	struct https_get *get = container_of(timer, struct https_get, deadline);
	end_with(get, ERR_TIMEOUT, "a whole answer in time",
		get->state == FETCHING ? "the bundle endpoint sends its answer too slowly"
				       : "the connection or handshake timed out");
}

struct https_get *https_get_start(const struct https_get_options *options, https_get_fn *on_done, void *arg)
{
	CHECK(options->path[0] == '/' && options->timeout_ms > 0 && options->body_max > 0);
	struct https_get *get = mem_new(struct https_get);
	*get = (struct https_get){.options = *options,
		.on_done = on_done,
		.arg = arg,
		.state = DIALING,
		.out = BUF_INIT(REQUEST_MAX),
		.in = BUF_INIT(HEAD_MAX + options->body_max)};
	get->dial = web_dial_new_without_alpn(options->loop, on_dialed, get);
	loop_timer_start(options->loop, &get->deadline, options->timeout_ms, on_deadline);
	web_dial_start(get->dial, options->peer, CONNECT_MS);
	return get;
}

void https_get_free(struct https_get *get)
{
	if (get == NULL)
		return;
	loop_io_stop(&get->io);
	loop_timer_stop(&get->deadline);
	loop_task_cancel(&get->step);
	loop_task_cancel(&get->finish);
	transport_free(get->transport);
	web_dial_free(get->dial);
	buf_done(&get->out);
	buf_done(&get->in);
	buf_done(&get->body);
	mem_free(get);
}
