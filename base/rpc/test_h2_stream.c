#include "base/rpc/test_h2_stream.h"
#include "base/core/check.h"

void test_h2_stream_init(struct test_h2_stream *stream, struct h2_link *link, size_t max)
{
	*stream = (struct test_h2_stream){.link = link};
	buf_init(&stream->received, max);
	buf_init(&stream->to_send, max);
}

void test_h2_stream_done(struct test_h2_stream *stream)
{
	buf_done(&stream->received);
	buf_done(&stream->to_send);
}

void test_h2_stream_flush(struct test_h2_stream *stream)
{
	h2_stream_ready(h2_link_session(stream->link), stream->id);
	h2_link_flush(stream->link);
}

void test_h2_stream_on_data(void *arg, int32_t id, void *owner, struct span bytes)
{
	struct test_h2_stream *stream = owner;
	(void)arg;
	CHECK(buf_append(&stream->received, bytes) == ERR_NONE);
	h2_stream_consumed(h2_link_session(stream->link), id, bytes.len);
}

void test_h2_stream_on_end(void *arg, int32_t id, void *owner)
{
	struct test_h2_stream *stream = owner;
	(void)arg, (void)id;
	stream->is_whole = true;
}

void test_h2_stream_on_close(void *arg, int32_t id, void *owner, uint32_t error)
{
	struct test_h2_stream *stream = owner;
	(void)arg, (void)id;
	stream->is_closed = true;
	stream->error = error;
}

enum io_result test_h2_stream_pull(void *arg, void *owner, uint8_t *to, size_t cap, size_t *out_len)
{
	struct test_h2_stream *stream = owner;
	struct span left = buf_span(&stream->to_send);
	size_t len = left.len < cap ? left.len : cap;
	(void)arg;
	if (len > 0)
		memcpy(to, left.ptr, len);
	buf_consume(&stream->to_send, len);
	*out_len = len;
	if (buf_len(&stream->to_send) == 0 && !stream->is_held)
		return IO_EOF;
	return len > 0 ? IO_DONE : IO_WANT_READ;
}
