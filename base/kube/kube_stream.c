#include "base/kube/kube_stream.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/core/version.h"
#include "base/http/http_date.h"
#include "base/kube/kube_client_private.h"
#include <string.h>

enum { H2_NO_ERROR = 0, H2_REFUSED_STREAM = 7, H2_CANCEL = 8, SENT_MAX = 3, RETRY_AFTER_MAX_S = 300 };

/* --- opening --- */

static char *copy(const char *text)
{
	return text != NULL ? mem_strdup(text) : NULL;
}

struct kube_stream *kube_stream_open(struct kube_client *client, const struct kube_stream_options *options,
	const struct kube_stream_events *events, void *arg)
{
	CHECK(options->path[0] == '/' && strpbrk(options->path, " \t\r\n") == NULL);
	struct kube_stream *stream = mem_new(struct kube_stream);
	stream->client = client;
	stream->method = mem_strdup(options->method);
	stream->path = mem_strdup(options->path);
	stream->content_type = copy(options->content_type);
	stream->accept = copy(options->accept);
	stream->events = events;
	stream->arg = arg;
	buf_init(&stream->body, options->body.len);
	CHECK(buf_append(&stream->body, options->body) == ERR_NONE);
	list_push_back(&client->waiting, &stream->link);
	kube_client_pump(client);
	return stream;
}

void kube_stream_drop(struct kube_stream *stream)
{
	if (list_is_linked(&stream->link))
		list_remove(&stream->link);
	mem_free(stream->method);
	mem_free(stream->path);
	mem_free(stream->content_type);
	mem_free(stream->accept);
	buf_wipe(&stream->body); /* a TokenReview has a token */
	mem_free(stream);
}

void kube_stream_finish(struct kube_stream *stream, enum err err, const struct why *why)
{
	const struct kube_stream_events *events = stream->events;
	void *arg = stream->arg;
	kube_stream_drop(stream);
	events->on_end(arg, err, why);
}

/* Its HTTP/2 stream, which goes on for a moment, has no owner from now on. */
void kube_stream_detach(struct kube_stream *stream)
{
	struct kube_connection *connection = stream->connection;
	if (connection == NULL)
		return;
	struct h2_session *h2 = h2_link_session(connection->h2_link);
	h2_stream_attach(h2, stream->id, NULL);
	h2_stream_reset(h2, stream->id, H2_CANCEL);
	h2_link_flush(connection->h2_link);
	list_remove(&stream->link);
	stream->connection = NULL;
	kube_client_pump(stream->client); /* a stream that waits may have its place */
}

void kube_stream_cancel(struct kube_stream *stream)
{
	kube_stream_detach(stream);
	kube_stream_drop(stream);
}

void kube_stream_consumed(struct kube_stream *stream, size_t len)
{
	if (stream->connection == NULL)
		return;
	h2_stream_consumed(h2_link_session(stream->connection->h2_link), stream->id, len);
	h2_link_flush(stream->connection->h2_link);
}

/* --- sending --- */

static enum err open_on(struct kube_stream *stream, struct kube_connection *connection)
{
	struct kube_client *client = stream->client;
	struct h2_header headers[9] = {
		{SPAN_LITERAL(":method"), span_of_str(stream->method)},
		{SPAN_LITERAL(":scheme"), SPAN_LITERAL("https")},
		{SPAN_LITERAL(":path"), span_of_str(stream->path), .is_unique = true},
		{SPAN_LITERAL(":authority"), span_of_str(client->authority)},
		{SPAN_LITERAL("user-agent"), SPAN_LITERAL("handfast/" HANDFAST_VERSION)},
		{SPAN_LITERAL("accept"), span_of_str(stream->accept != NULL ? stream->accept : "application/json")},
	};
	size_t num = 6;
	_cleanup_(buf_wipe) struct buf bearer = BUF_INIT(KUBE_TOKEN_MAX + 16);
	if (stream->content_type != NULL)
		headers[num++] = (struct h2_header){SPAN_LITERAL("content-type"), span_of_str(stream->content_type)};
	if (buf_len(&client->token.text) > 0) {
		CHECK(buf_append_str(&bearer, "Bearer ") == ERR_NONE);
		CHECK(buf_append(&bearer, buf_span(&client->token.text)) == ERR_NONE);
		headers[num++] =
			(struct h2_header){SPAN_LITERAL("authorization"), buf_span(&bearer), .is_unique = true};
	}
	struct h2_session *h2 = h2_link_session(connection->h2_link);
	return h2_stream_open(h2, headers, num, stream->content_type == NULL, stream, &stream->id);
}

enum err kube_stream_send(struct kube_stream *stream, struct kube_connection *connection)
{
	struct kube_client *client = stream->client;
	struct why why = {0};
	CHECK(stream->connection == NULL && list_is_linked(&stream->link));
	enum err token = kube_token_refresh(&client->token, loop_now_ms(client->loop), false, &why);
	if (token != ERR_NONE) {
		kube_stream_finish(stream, token, &why);
		return ERR_NONE;
	}
	RETURN_IF_ERR(open_on(stream, connection));
	stream->token_generation = client->token.generation;
	stream->num_sent++;
	stream->body_sent = 0;
	stream->has_sent_all = stream->content_type == NULL;
	stream->connection = connection;
	list_remove(&stream->link);
	list_push_back(&connection->streams, &stream->link);
	if (!stream->has_sent_all)
		h2_stream_ready(h2_link_session(connection->h2_link), stream->id);
	h2_link_flush(connection->h2_link);
	return ERR_NONE;
}

/* Back to those that wait; its HTTP/2 stream is closed or detached. */
static void send_again(struct kube_stream *stream)
{
	CHECK(stream->connection == NULL);
	list_push_back(&stream->client->waiting, &stream->link);
	kube_client_pump(stream->client);
}

static enum io_result pull(void *arg, void *owner, uint8_t *to, size_t cap, size_t *out_len)
{
	struct kube_stream *stream = owner;
	(void)arg;
	*out_len = 0;
	if (stream == NULL)
		return IO_EOF;
	struct span left = span_from(buf_span(&stream->body), stream->body_sent);
	size_t len = left.len < cap ? left.len : cap;
	if (len > 0)
		memcpy(to, left.ptr, len);
	stream->body_sent += len;
	*out_len = len;
	stream->has_sent_all = stream->body_sent == buf_len(&stream->body);
	return stream->has_sent_all ? IO_EOF : IO_DONE;
}

/* --- receiving --- */

/* Digits only; Retry-After as a date (RFC 9110 10.2.3) is not sent by the API server. */
static uint32_t number_of(struct span text, uint32_t max)
{
	uint64_t number = number_take(&text, max);
	return text.len == 0 ? (uint32_t)number : 0;
}

/* The file may have a newer token. */
static bool has_newer_token(struct kube_stream *stream)
{
	struct kube_client *client = stream->client;
	if (client->config->token_file == NULL || stream->num_sent >= SENT_MAX)
		return false;
	if (client->token.generation == stream->token_generation)
		(void)!kube_token_refresh(&client->token, loop_now_ms(client->loop), true, NULL);
	return client->token.generation != stream->token_generation;
}

static void on_headers(
	void *arg, int32_t stream_id, void *owner, const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	struct kube_stream *stream = owner;
	(void)stream_id, (void)end_stream;
	if (stream == NULL || stream->has_head) /* trailers */
		return;
	struct kube_head head = {.status = number_of(h2_headers_find(headers, num_headers, ":status"), 999),
		.retry_after_s = number_of(h2_headers_find(headers, num_headers, "retry-after"), RETRY_AFTER_MAX_S)};
	(void)!http_date_parse(h2_headers_find(headers, num_headers, "date"), &head.date_s);
	if (head.status < 200) /* an interim response */
		return;
	kube_connection_answered(arg);
	if (head.status == 401 && has_newer_token(stream)) {
		kube_stream_detach(stream);
		send_again(stream);
		return;
	}
	stream->has_head = true;
	stream->events->on_head(stream->arg, &head);
}

static void on_data(void *arg, int32_t stream_id, void *owner, struct span bytes)
{
	const struct kube_connection *connection = arg;
	struct kube_stream *stream = owner;
	if (stream != NULL && stream->has_head)
		stream->events->on_bytes(stream->arg, bytes);
	else
		h2_stream_consumed(h2_link_session(connection->h2_link), stream_id, bytes.len);
}

static void on_stream_end(void *arg, int32_t stream_id, void *owner)
{
	struct kube_stream *stream = owner;
	(void)arg, (void)stream_id;
	if (stream == NULL)
		return;
	struct kube_connection *connection = stream->connection;
	struct h2_session *h2 = h2_link_session(connection->h2_link);
	h2_stream_attach(h2, stream->id, NULL);
	if (!stream->has_sent_all) /* RFC 9113 8.1: answered before the whole request was sent */
		h2_stream_reset(h2, stream->id, H2_NO_ERROR);
	list_remove(&stream->link);
	stream->connection = NULL;
	kube_client_pump(stream->client);
	if (stream->has_head) {
		kube_stream_finish(stream, ERR_NONE, NULL);
		return;
	}
	struct why why = {0};
	(void)why_set(&why, ERR_PROTOCOL, "an answer with a status", "check that this is the API server",
		"the answer has no header");
	kube_stream_finish(stream, ERR_PROTOCOL, &why);
}

static void on_close(void *arg, int32_t stream_id, void *owner, uint32_t error)
{
	struct kube_stream *stream = owner;
	(void)arg, (void)stream_id;
	if (stream == NULL)
		return;
	list_remove(&stream->link);
	stream->connection = NULL;
	if (error == H2_REFUSED_STREAM && stream->num_sent < SENT_MAX && !stream->has_head) {
		send_again(stream); /* RFC 9113 8.7: nothing was done */
		return;
	}
	kube_client_pump(stream->client);
	struct why why = {0};
	(void)why_set(&why, ERR_RESET, "a whole answer", "see the API server's log",
		"the API server reset the stream: %s", h2_error_name(error));
	kube_stream_finish(stream, ERR_RESET, &why);
}

/* --- the connection's own events --- */

static void on_open(void *arg)
{
	kube_connection_opened(arg);
}

static void on_goaway(void *arg)
{
	kube_connection_drain(arg);
}

static void on_dead(void *arg, const struct why *why)
{
	kube_connection_dead(arg, why);
}

const struct h2_link_events kube_link_events = {
	.on_open = on_open,
	.on_goaway = on_goaway,
	.on_dead = on_dead,
	.on_headers = on_headers,
	.on_data = on_data,
	.on_end = on_stream_end,
	.on_close = on_close,
	.pull = pull,
};
