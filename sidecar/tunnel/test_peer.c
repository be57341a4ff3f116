#include "sidecar/tunnel/test_peer.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "sidecar/tunnel/connect_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static struct peer_stream *find(struct peer *peer, int32_t id)
{
	for (unsigned i = 0; i < peer->num_streams; i++)
		if (peer->streams[i].id == id)
			return &peer->streams[i];
	CHECK(peer->num_streams < PEER_STREAMS_MAX);
	struct peer_stream *stream = &peer->streams[peer->num_streams++];
	stream->id = id;
	buf_init(&stream->received, 1024 * 1024);
	return stream;
}

static void on_headers(
	void *arg, int32_t id, void *owner, const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	(void)owner;
	(void)end_stream;
	struct peer_stream *stream = find(arg, id);
	struct connect_answer answer;
	connect_answer_parse(headers, num_headers, &answer);
	stream->status = answer.status;
	memcpy(stream->reason, answer.reason, sizeof(stream->reason));
}

static void on_data(void *arg, int32_t id, void *owner, struct span bytes)
{
	(void)owner;
	struct peer *peer = arg;
	CHECK(buf_append(&find(peer, id)->received, bytes) == ERR_NONE);
	h2_stream_consumed(peer->h2, id, bytes.len);
}

static void on_end(void *arg, int32_t id, void *owner)
{
	(void)owner;
	find(arg, id)->has_ended = true;
}

static void on_close(void *arg, int32_t id, void *owner, uint32_t error)
{
	(void)owner;
	struct peer_stream *stream = find(arg, id);
	stream->is_closed = true;
	stream->error = error;
}

static enum io_result pull(void *arg, void *owner, uint8_t *to, size_t cap, size_t *out_len)
{
	(void)owner;
	struct peer *peer = arg;
	*out_len = 0;
	if (peer->body.len == 0)
		return IO_WANT_READ;
	*out_len = peer->body.len < cap ? peer->body.len : cap;
	memcpy(to, peer->body.ptr, *out_len);
	peer->body = span_from(peer->body, *out_len);
	return peer->body.len == 0 ? IO_EOF : IO_DONE;
}

static void on_goaway(void *arg, int32_t last, uint32_t error)
{
	(void)last;
	(void)error;
	((struct peer *)arg)->has_goaway = true;
}

static void on_output_ready(void *arg)
{
	(void)arg; /* every pump produces */
}

static enum err believe(void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	(void)arg;
	return svid_parse(chain, num_chain, out_svid, why);
}

static struct peer *peer_new(
	struct world *world, struct credentials *credentials, bool is_client, const struct h2_limits *limits)
{
	struct peer *peer = mem_new(struct peer);
	peer->world = world;
	peer->credentials = credentials;
	struct h2_session_options options = {
		.role = is_client ? H2_CLIENT : H2_SERVER,
		.callbacks = {on_headers, on_data, on_end, on_close, pull, NULL, on_goaway, NULL, on_output_ready},
		.arg = peer,
	};
	if (limits != NULL)
		options.limits = *limits;
	CHECK(h2_session_new(&options, &peer->h2) == ERR_NONE);
	return peer;
}

static void start_tls(struct peer *peer, struct tls_context *context, int fd)
{
	struct tls_session_options options = {
		.context = context,
		.scratch = peer->world->scratch,
		.fd = fd,
		.svid = credentials_svid(peer->credentials),
		.key = credentials_key(peer->credentials),
		.on_verify = believe,
		.verify_arg = peer,
	};
	socket_set_nodelay(fd); /* otherwise a frame may wait for an ACK, which the other end delays by 40 ms */
	CHECK(tls_session_new(&options, &peer->tls, NULL) == ERR_NONE);
}

struct peer *peer_connect(struct world *world, struct credentials *credentials)
{
	struct peer *peer = peer_new(world, credentials, true, NULL);
	int fd;
	CHECK(socket_connect(&world->at, &(struct socket_connect_options){0}, &fd) == ERR_NONE);
	world_run(world, 5);
	start_tls(peer, world->client_context, fd);
	(void)PEER_UNTIL(peer, h2_session_has_settings(peer->h2) || peer->is_lost);
	return peer;
}

static void on_raw(void *arg, int fd)
{
	struct peer *peer = arg;
	start_tls(peer, peer->world->server_context, fd);
	peer->world->on_raw = NULL;
}

struct peer *peer_connect_raw(struct world *world)
{
	return peer_connect(world, world_credentials(world, RAW_ID));
}

struct peer *peer_serve(struct world *world, struct credentials *credentials, const struct h2_limits *limits)
{
	struct peer *peer = peer_new(world, credentials, false, limits);
	world->on_raw = on_raw;
	world->raw_arg = peer;
	return peer;
}

void peer_free(struct peer *peer)
{
	for (unsigned i = 0; i < peer->num_streams; i++)
		buf_done(&peer->streams[i].received);
	if (peer->world->raw_arg == peer)
		peer->world->on_raw = NULL;
	h2_session_free(peer->h2);
	tls_session_free(peer->tls);
	credentials_unref(peer->credentials);
	mem_free(peer);
}

static void lose(struct peer *peer)
{
	peer->is_lost = true;
	if (tls_session_why(peer->tls) != NULL)
		peer->detail = *tls_session_why(peer->tls);
}

static void receive(struct peer *peer)
{
	static uint8_t bytes[65536];
	size_t len = 0;
	for (;;) {
		enum io_result result = tls_session_read(peer->tls, bytes, sizeof(bytes), &len);
		if (result == IO_FAILED || result == IO_EOF)
			lose(peer);
		if (result != IO_DONE)
			return;
		if (h2_session_feed(peer->h2, span_of(bytes, len), &peer->detail) != ERR_NONE)
			return;
	}
}

static void produce(struct peer *peer)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(1024 * 1024);
	size_t len;
	(void)!h2_session_produce(peer->h2, &out);
	if (buf_len(&out) > 0)
		(void)!tls_session_write(peer->tls, buf_span(&out), &len);
	(void)!tls_session_flush(peer->tls);
}

void peer_pump(struct peer *peer)
{
	if (peer->tls == NULL || peer->is_lost)
		return;
	if (!tls_session_is_established(peer->tls)) {
		enum io_result result = tls_session_handshake(peer->tls);
		if (result == IO_FAILED)
			lose(peer);
		if (result != IO_DONE)
			return;
	}
	if (!peer->is_deaf)
		receive(peer);
	if (!peer->is_lost)
		produce(peer);
}

struct peer_stream *peer_open(struct peer *peer, const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	int32_t id;
	CHECK(h2_stream_open(peer->h2, headers, num_headers, end_stream, NULL, &id) == ERR_NONE);
	return find(peer, id);
}

void peer_answer(struct peer *peer, struct peer_stream *stream, const char *status)
{
	struct h2_header header = {SPAN_LITERAL(":status"), span_of_str(status)};
	CHECK(h2_stream_respond(peer->h2, stream->id, &header, 1, false) == ERR_NONE);
}

struct peer *peer_serve_call(struct world *world, struct call **out_call)
{
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL);
	*out_call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	return peer;
}

struct peer_stream *peer_open_connect(struct peer *peer)
{
	static const struct h2_header headers[] = {
		PEER_HEADER(":method", "CONNECT"), PEER_HEADER(":authority", "10.0.0.1:80")};
	return peer_open(peer, headers, 2, false);
}

void peer_answer_whole(struct peer *peer, struct peer_stream *stream, struct span body)
{
	peer->body = body;
	peer_answer(peer, stream, "200");
	h2_stream_ready(peer->h2, stream->id);
}
