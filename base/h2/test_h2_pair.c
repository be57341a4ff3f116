#include "base/h2/test_h2_pair.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdio.h>

enum { OUT_MAX = 512 * 1024, RECEIVED_MAX = 64 * 1024 * 1024, FRAME_HEADER_LEN = 9 };

struct test_h2_stream *test_h2_end_stream(struct test_h2_end *end, int32_t id)
{
	CHECK(id > 0 && id / 2 < H2_TEST_STREAMS);
	struct test_h2_stream *stream = &end->streams[id / 2];
	if (!stream->exists) {
		*stream = (struct test_h2_stream){.exists = true, .id = id};
		buf_init(&stream->received, RECEIVED_MAX);
	}
	return stream;
}

static void on_headers(
	void *arg, int32_t id, void *owner, const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	struct test_h2_end *end = arg;
	struct test_h2_stream *stream = test_h2_end_stream(end, id);
	(void)end_stream;
	CHECK(owner == NULL || owner == stream);
	stream->num_headers++;
	stream->header_bytes = 0;
	for (size_t i = 0; i < num_headers; i++)
		stream->header_bytes += headers[i].name.len + headers[i].value.len;
	if (num_headers > 0)
		(void)snprintf(stream->first_header, sizeof(stream->first_header), "%.*s: %.*s",
			(int)headers[0].name.len, (const char *)headers[0].name.ptr, (int)headers[0].value.len,
			(const char *)headers[0].value.ptr);
	h2_stream_attach(end->session, id, stream);
	const char *status = end->status == NULL ? "200" : end->status;
	const struct h2_header answer = {SPAN_LITERAL(":status"), span_of_str(status)};
	if (end->responds && stream->num_headers == 1)
		(void)!h2_stream_respond(end->session, id, &answer, 1, status[0] != '2');
}

static void on_data(void *arg, int32_t id, void *owner, struct span bytes)
{
	struct test_h2_end *end = arg;
	struct test_h2_stream *stream = owner;
	CHECK(stream->id == id);
	CHECK(buf_append(&stream->received, bytes) == ERR_NONE);
	if (!end->refuses_to_consume)
		h2_stream_consumed(end->session, id, bytes.len);
}

static void on_end(void *arg, int32_t id, void *owner)
{
	(void)arg;
	(void)id;
	((struct test_h2_stream *)owner)->ended = true;
}

static void on_close(void *arg, int32_t id, void *owner, uint32_t error)
{
	(void)owner;
	struct test_h2_stream *stream = test_h2_end_stream(arg, id);
	CHECK(!stream->closed);
	stream->closed = true;
	stream->error = error;
}

static enum io_result pull(void *arg, void *owner, uint8_t *to, size_t cap, size_t *out_len)
{
	struct test_h2_end *end = arg;
	struct test_h2_stream *stream = owner;
	if (stream->pull_fails)
		return IO_FAILED;
	size_t left = stream->to_send.len - stream->sent;
	size_t len = left < cap ? left : cap;
	if (len > 0)
		memcpy(to, stream->to_send.ptr + stream->sent, len);
	stream->sent += len;
	stream->largest_pull = len > stream->largest_pull ? len : stream->largest_pull;
	if (end->num_pulls < 64)
		end->pull_order[end->num_pulls] = stream->id;
	end->num_pulls++;
	*out_len = len;
	if (stream->sent == stream->to_send.len && stream->end_after)
		return IO_EOF;
	return len > 0 ? IO_DONE : IO_WANT_READ;
}

static void on_settings(void *arg)
{
	((struct test_h2_end *)arg)->num_settings++;
}

static void on_goaway(void *arg, int32_t last_stream_id, uint32_t error)
{
	(void)last_stream_id;
	struct test_h2_end *end = arg;
	end->num_goaways++;
	end->goaway_error = error;
}

static void on_ping_ack(void *arg)
{
	((struct test_h2_end *)arg)->num_ping_acks++;
}

static void on_output_ready(void *arg)
{
	((struct test_h2_end *)arg)->num_output_ready++;
}

void test_h2_end_init(struct test_h2_end *end, enum h2_role role, const struct h2_limits *limits, size_t out_max)
{
	*end = (struct test_h2_end){.streams = mem_calloc(H2_TEST_STREAMS, sizeof(struct test_h2_stream))};
	buf_init(&end->out, out_max != 0 ? out_max : OUT_MAX);
	const struct h2_session_options options = {.role = role,
		.limits = *limits,
		.callbacks = {on_headers, on_data, on_end, on_close, pull, on_settings, on_goaway, on_ping_ack,
			on_output_ready},
		.arg = end};
	CHECK(h2_session_new(&options, &end->session) == ERR_NONE);
}

void test_h2_end_done(struct test_h2_end *end)
{
	h2_session_free(end->session);
	for (size_t i = 0; i < H2_TEST_STREAMS; i++)
		buf_done(&end->streams[i].received);
	mem_free(end->streams);
	buf_done(&end->out);
}

void test_h2_pair_init(struct test_h2_pair *pair, const struct h2_limits *limits)
{
	test_h2_end_init(&pair->client, H2_CLIENT, limits, 0);
	test_h2_end_init(&pair->server, H2_SERVER, limits, 0);
	pair->server.responds = true;
}

void test_h2_pair_done(struct test_h2_pair *pair)
{
	test_h2_end_done(&pair->client);
	test_h2_end_done(&pair->server);
}

static size_t carry(struct test_h2_end *from, struct test_h2_end *to)
{
	CHECK(h2_session_produce(from->session, &from->out) != IO_FAILED);
	size_t len = buf_len(&from->out);
	if (len > 0)
		(void)!h2_session_feed(to->session, buf_span(&from->out), NULL);
	buf_consume(&from->out, len);
	return len;
}

size_t test_h2_pair_run(struct test_h2_pair *pair)
{
	size_t total = 0;
	for (;;) {
		size_t len = carry(&pair->client, &pair->server) + carry(&pair->server, &pair->client);
		total += len;
		if (len == 0)
			return total;
	}
}

int32_t test_h2_open(struct test_h2_end *client, bool end_stream)
{
	const struct h2_header connect[] = {
		{SPAN_LITERAL(":method"), SPAN_LITERAL("CONNECT")},
		{SPAN_LITERAL(":authority"), SPAN_LITERAL("192.0.2.1:80")},
	};
	int32_t id;
	CHECK(h2_stream_open(client->session, connect, 2, end_stream, NULL, &id) == ERR_NONE);
	h2_stream_attach(client->session, id, test_h2_end_stream(client, id));
	return id;
}

void test_h2_send(struct test_h2_end *end, int32_t id, struct span bytes, bool end_after)
{
	struct test_h2_stream *stream = test_h2_end_stream(end, id);
	stream->to_send = bytes;
	stream->sent = 0;
	stream->end_after = end_after;
	h2_stream_ready(end->session, id);
}

void h2_raw_frame(struct buf *out, uint8_t type, uint8_t flags, int32_t id, struct span payload)
{
	uint32_t len = (uint32_t)payload.len, stream_id = (uint32_t)id;
	const uint8_t header[FRAME_HEADER_LEN] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags,
		(uint8_t)(stream_id >> 24), (uint8_t)(stream_id >> 16), (uint8_t)(stream_id >> 8), (uint8_t)stream_id};
	CHECK(buf_append(out, span_of(header, sizeof(header))) == ERR_NONE);
	CHECK(buf_append(out, payload) == ERR_NONE);
}

void h2_raw_preface(struct buf *out)
{
	CHECK(buf_append(out, SPAN_LITERAL(H2_PREFACE)) == ERR_NONE);
	h2_raw_frame(out, 4, 0, 0, SPAN_LITERAL(""));
}

void h2_raw_connect(struct buf *out, int32_t id, bool end_stream)
{
	/* RFC 7541 6.2.2: literals without indexing, with the static names :method (2) and :authority (1). */
	h2_raw_frame(out, 1, (uint8_t)(0x4 | (end_stream ? 0x1 : 0)), id,
		SPAN_LITERAL("\x02\x07"
			     "CONNECT"
			     "\x01\x07"
			     "a.b:123"));
}

enum err h2_raw_feed(struct test_h2_end *end, struct buf *bytes, struct why *why)
{
	enum err err = h2_session_feed(end->session, buf_span(bytes), why);
	buf_consume(bytes, buf_len(bytes));
	CHECK(h2_session_produce(end->session, &end->out) != IO_FAILED);
	return err;
}

static size_t next_frame(struct span at)
{
	return FRAME_HEADER_LEN + ((size_t)at.ptr[0] << 16 | (size_t)at.ptr[1] << 8 | at.ptr[2]);
}

static uint32_t error_of(const struct buf *produced, uint8_t type, size_t error_at)
{
	struct span at = buf_span(produced);
	for (; at.len >= FRAME_HEADER_LEN; at = span_from(at, next_frame(at)))
		if (at.ptr[3] == type)
			return (uint32_t)at.ptr[error_at] << 24 | (uint32_t)at.ptr[error_at + 1] << 16 |
			       (uint32_t)at.ptr[error_at + 2] << 8 | at.ptr[error_at + 3];
	return UINT32_MAX;
}

uint32_t h2_raw_goaway(const struct buf *produced)
{
	return error_of(produced, 7, FRAME_HEADER_LEN + 4);
}

uint32_t h2_raw_reset(const struct buf *produced)
{
	return error_of(produced, 3, FRAME_HEADER_LEN);
}

unsigned h2_raw_count(const struct buf *produced, uint8_t type)
{
	unsigned num = 0;
	for (struct span at = buf_span(produced); at.len >= FRAME_HEADER_LEN; at = span_from(at, next_frame(at)))
		num += at.ptr[3] == type;
	return num;
}
