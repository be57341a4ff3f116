#include "base/core/check.h"
#include "base/h2/h2_session.h"
#include "test/fuzz/fuzz.h"

/* The first byte is the size of the pieces in which the rest arrives after a valid preface. For any bytes: a stream is
 * closed at most once, and a broken session stays broken and only sends its GOAWAY. */
struct peer {
	struct h2_session *session;
	unsigned num_streams; /* with headers, not yet closed */
};

static void on_headers(void *arg, int32_t id, void *stream, const struct h2_header *headers, size_t num_headers,
	_unused_ bool end_stream)
{
	struct peer *peer = arg;
	const struct h2_header ok = {SPAN_LITERAL(":status"), SPAN_LITERAL("200")};
	size_t len = 0;
	for (size_t i = 0; i < num_headers; i++)
		len += headers[i].name.len + headers[i].value.len + 32;
	CHECK(len <= 16 * 1024);
	if (stream != NULL)
		return;
	peer->num_streams++;
	h2_stream_attach(peer->session, id, peer);
	if (id % 4 == 1)
		(void)!h2_stream_respond(peer->session, id, &ok, 1, id % 8 == 1);
	h2_stream_ready(peer->session, id);
}

static void on_data(void *arg, int32_t id, void *stream, struct span bytes)
{
	CHECK(stream == arg && bytes.len > 0);
	h2_stream_consumed(((struct peer *)arg)->session, id, bytes.len);
}

static void on_end(void *arg, _unused_ int32_t id, void *stream)
{
	CHECK(stream == arg);
}

static void on_close(void *arg, _unused_ int32_t id, void *stream, _unused_ uint32_t error)
{
	struct peer *peer = arg;
	if (stream == NULL) /* reset before its headers were complete */
		return;
	CHECK(peer->num_streams > 0);
	peer->num_streams--;
}

static enum io_result pull(_unused_ void *arg, _unused_ void *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	*out_len = cap < 100 ? cap : 100;
	memset(to, 'x', *out_len);
	return IO_EOF;
}

static void on_output_ready(_unused_ void *arg)
{
}

static enum err feed(struct peer *peer, struct span bytes)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(4 * 1024 * 1024);
	struct why why = {0};
	enum err err = h2_session_feed(peer->session, bytes, &why);
	CHECK((err == ERR_NONE) == (why.err == ERR_NONE));
	CHECK(h2_session_produce(peer->session, &out) == IO_DONE);
	CHECK(err == ERR_NONE || h2_session_is_done(peer->session));
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct peer peer = {0};
	const struct h2_session_options options = {.role = H2_SERVER,
		.callbacks = {.on_headers = on_headers,
			.on_data = on_data,
			.on_end = on_end,
			.on_close = on_close,
			.pull = pull,
			.on_output_ready = on_output_ready},
		.arg = &peer};
	if (len == 0)
		return 0;
	CHECK(h2_session_new(&options, &peer.session) == ERR_NONE);
	CHECK(feed(&peer, SPAN_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")) == ERR_NONE);
	size_t piece = bytes[0] == 0 ? len : bytes[0];
	enum err err = ERR_NONE;
	for (size_t at = 1; at < len; at += piece) {
		enum err now = feed(&peer, span_of(bytes + at, len - at < piece ? len - at : piece));
		CHECK(err == ERR_NONE || now == err);
		err = now;
	}
	h2_session_free(peer.session);
	return 0;
}
