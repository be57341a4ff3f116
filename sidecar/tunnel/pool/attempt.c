#include "sidecar/tunnel/pool/attempt.h"
#include "base/core/check.h"
#include "base/core/fixed_ports.h"
#include "base/core/mem.h"
#include "sidecar/tunnel/connect_request.h"
#include "sidecar/tunnel/pool/upstream.h"
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/tunnel.h"
#include <stdio.h>

/* On a tunnel it is out of our hands; the owner's deadline goes on. */
static void on_waited(struct loop_timer *timer)
{
	struct stream_attempt *attempt = container_of(timer, struct stream_attempt, waiting);
	char text[ADDR_TEXT_MAX];
	struct why why = {0};
	if (attempt->stream != NULL)
		return;
	why_set(&why, ERR_TIMEOUT, "a tunnel to the endpoint in time",
		"check that its sidecar runs and that port " FIXED_TEXT(FIXED_PORT_TUNNEL) " is open there",
		"no tunnel to %s was ready in time", addr_format(&attempt->endpoint, text));
	attempt_fail(attempt, STREAM_UNREACHABLE, false, &why);
}

struct stream_attempt *attempt_new(struct loop *loop, const struct stream_request *request)
{
	struct stream_attempt *attempt = mem_new(struct stream_attempt);
	attempt->loop = loop;
	attempt->endpoint = request->endpoint;
	attempt->source = request->source;
	attempt->on_result = request->on_result;
	attempt->arg = request->arg;
	attempt->downstream = request->downstream;
	buf_init(&attempt->early, EARLY_MAX);
	if (request->wait_ms != 0)
		loop_timer_start(loop, &attempt->waiting, request->wait_ms, on_waited);
	return attempt;
}

static void attempt_free(struct stream_attempt *attempt)
{
	loop_task_cancel(&attempt->reporting);
	loop_timer_stop(&attempt->waiting);
	if (attempt->downstream != NULL)
		leg_detach(attempt->downstream);
	buf_done(&attempt->early);
	mem_free(attempt->failure);
	mem_free(attempt);
}

static void drop_stream(struct stream_attempt *attempt)
{
	struct stream *stream = TAKE_PTR(attempt->stream);
	if (stream == NULL)
		return;
	stream->unanswered = NULL;
	stream_release(stream);
}

void stream_attempt_cancel(struct stream_attempt *attempt)
{
	drop_stream(attempt);
	if (list_is_linked(&attempt->link))
		upstream_cancel(attempt);
	attempt_free(attempt);
}

/* --- the verdict --- */

static void report(struct loop_task *task)
{
	struct stream_attempt *attempt = container_of(task, struct stream_attempt, reporting);
	struct stream_result *failure = TAKE_PTR(attempt->failure);
	void (*on_result)(void *, struct leg *, const struct stream_result *) = attempt->on_result;
	void *arg = attempt->arg;
	attempt_free(attempt);
	on_result(arg, NULL, failure);
	mem_free(failure);
}

/* What was taken from the app and did not leave goes back to its leg: `from` is how much of the copy has left for good.
 */
static void give_back_early(struct stream_attempt *attempt, size_t from)
{
	struct leg *downstream = attempt->downstream;
	bool is_end_due = attempt->early_ended && (attempt->stream == NULL || !attempt->stream->leg.out_ended);
	if (downstream == NULL || downstream->is_reset || (buf_len(&attempt->early) == from && !is_end_due))
		return;
	leg_put_back(downstream, span_from(buf_span(&attempt->early), from));
	buf_done(&attempt->early);
	attempt->early_ended = false;
}

static void fail_with(struct stream_attempt *attempt, const struct stream_result *result)
{
	drop_stream(attempt);
	give_back_early(attempt, 0); /* the owner may try another endpoint with the same app */
	if (list_is_linked(&attempt->link))
		upstream_cancel(attempt);
	if (attempt->failure != NULL)
		return;
	attempt->failure = mem_dup(result, sizeof(*result));
	loop_task_post(attempt->loop, &attempt->reporting, report);
}

void attempt_fail(struct stream_attempt *attempt, enum stream_verdict verdict, bool by_peer, const struct why *why)
{
	struct stream_result result = {.verdict = verdict,
		.failed_by_peer = by_peer,
		.is_undelivered = !attempt->may_be_delivered,
		.detail = *why};
	fail_with(attempt, &result);
}

static void succeed(struct stream_attempt *attempt, unsigned status)
{
	give_back_early(attempt, attempt->replayed); /* a retry whose window was too small for all of it yet */
	struct stream *stream = TAKE_PTR(attempt->stream);
	stream->unanswered = NULL;
	void (*on_result)(void *, struct leg *, const struct stream_result *) = attempt->on_result;
	void *arg = attempt->arg;
	const struct stream_result result = {
		.verdict = STREAM_OPEN, .status = status, .answer_ms = loop_now_ms(attempt->loop) - attempt->sent_ms};
	attempt_free(attempt);
	on_result(arg, &stream->leg, &result);
}

void attempt_on_answer(struct stream_attempt *attempt, const struct h2_header *headers, size_t num_headers)
{
	struct connect_answer answer;
	connect_answer_parse(headers, num_headers, &answer);
	if (answer.status >= 100 && answer.status < 200)
		return; /* RFC 9110 15.2: the answer is still to come */
	if (answer.status >= 200 && answer.status < 300) {
		succeed(attempt, answer.status);
		return;
	}
	/* A refusal comes before the other side has handed anything on: what was sent early was dropped there. */
	struct stream_result result = {.verdict = STREAM_REFUSED, .status = answer.status, .is_undelivered = true};
	memcpy(result.reason, answer.reason, sizeof(result.reason));
	why_set(&result.detail, ERR_REFUSED, "the other sidecar to accept the connection",
		"run `handfast why` beside the other sidecar", "the other sidecar answered with status %u: %s",
		answer.status, answer.reason[0] == '\0' ? "no reason given" : answer.reason);
	tunnel_name_peer(attempt->stream->tunnel, &result.detail);
	fail_with(attempt, &result);
}

bool attempt_lose_stream(struct stream_attempt *attempt, uint32_t error, const struct why *why)
{
	struct why reset = {0};
	if (why == NULL) {
		why_set(&reset, ERR_RESET, "an answer to CONNECT", "run `handfast why` beside the other sidecar",
			"the stream was reset: RST_STREAM %s", h2_error_name(error));
		tunnel_name_peer(attempt->stream->tunnel, &reset);
	}
	attempt->avoid = attempt->stream->tunnel;
	drop_stream(attempt);
	/* Only these show for certain that nothing was delivered (RFC 9113 8.7). */
	bool is_refused = why == NULL && error == H2_REFUSED_STREAM;
	if (is_refused && attempt->tries < ATTEMPT_TRIES)
		return true;
	attempt->may_be_delivered = !is_refused;
	attempt_fail(attempt, STREAM_BROKEN, false, why == NULL ? &reset : why);
	return false;
}

/* --- bytes before the answer --- */

static void on_early_readable(struct leg *leg)
{
	struct stream_attempt *attempt = leg->owner;
	if (attempt->stream != NULL)
		attempt->stream->leg.ops->wake(&attempt->stream->leg);
}

static void on_app_reset(struct leg *leg, const struct why *why)
{
	attempt_fail(leg->owner, STREAM_ABANDONED, false, why);
}

static void on_nothing(struct leg *leg)
{
	(void)leg; /* nothing is written to the app before the answer */
}

static const struct leg_listener early_listener = {on_early_readable, on_nothing, on_nothing, on_app_reset};

static enum io_result replay(struct stream_attempt *attempt, uint8_t *to, size_t cap, size_t *out_len)
{
	struct span rest = span_from(buf_span(&attempt->early), attempt->replayed);
	*out_len = rest.len < cap ? rest.len : cap;
	memcpy(to, rest.ptr, *out_len);
	attempt->replayed += *out_len;
	return IO_DONE;
}

enum io_result attempt_pull(struct stream_attempt *attempt, uint8_t *to, size_t cap, size_t *out_len)
{
	if (attempt->replayed < buf_len(&attempt->early))
		return replay(attempt, to, cap, out_len);
	if (attempt->early_ended)
		return IO_EOF;
	size_t room = buf_room(&attempt->early);
	if (room == 0 || attempt->downstream == NULL)
		return IO_WANT_READ; /* the rest waits in the app's socket for the answer */
	struct leg *downstream = attempt->downstream;
	enum io_result result = downstream->ops->pull(downstream, to, cap < room ? cap : room, out_len);
	if (result == IO_DONE) {
		CHECK(buf_append(&attempt->early, span_of(to, *out_len)) == ERR_NONE);
		attempt->replayed += *out_len;
	} else if (result == IO_EOF) {
		attempt->early_ended = true;
	}
	return result;
}

/* --- on a tunnel --- */

enum err attempt_start(struct stream_attempt *attempt, struct tunnel *tunnel)
{
	struct connect_text text;
	struct h2_header headers[CONNECT_HEADERS];
	const struct connect_request request = {.authority = attempt->endpoint, .forwarded = attempt->source};
	size_t num_headers = connect_request_encode(&request, &text, headers);
	struct stream *stream = stream_new(tunnel);
	enum err err = h2_stream_open(tunnel->h2, headers, num_headers, false, stream, &stream->id);
	if (err != ERR_NONE) {
		stream_discard(stream);
		return err;
	}
	stream->unanswered = attempt;
	attempt->stream = stream;
	attempt->tries++;
	attempt->sent_ms = loop_now_ms(attempt->loop);
	attempt->replayed = 0;
	uint32_t first = window_first(&stream->window, stream->budget);
	if (first > WINDOW_START && !tunnel_windows_take(tunnel, window_charged(&stream->window))) {
		window_close(&stream->window, stream->budget);
		window_open(&stream->window, loop_now_ms(tunnel->set->loop));
		first = WINDOW_START;
	}
	if (first > WINDOW_START)
		h2_stream_set_window(tunnel->h2, stream->id, first);
	if (attempt->downstream != NULL) {
		leg_attach(attempt->downstream, NULL, &early_listener, attempt);
		h2_stream_ready(tunnel->h2, stream->id); /* what the app has sent by now leaves with the CONNECT */
	}
	return ERR_NONE;
}
