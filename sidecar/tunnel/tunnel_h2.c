/* HTTP/2's callbacks of a tunnel, and what a tunnel allows its peer. */
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/tunnel.h"

enum {
	CONNECTION_WINDOW = 16 * 1024 * 1024, /* never what holds a stream back: it is returned at once */
	FRAME_MAX = 128 * 1024,               /* fewer and larger: 16 KiB frames cost 30 % more CPU */
	HEADER_BYTES = 16 * 1024,
	LEAVE_BEFORE_S =
		5, /* what a caller may take from choosing a tunnel to its CONNECT being here, and the clocks */
	LATE_TUNNEL_MS = 1000, /* of a tunnel that was accepted, or handshaking, while draining */
};

/* RFC 9113 8.5: nothing but DATA belongs to a tunnel. Taken for an end, they would hide that the other side is at
 * fault. A stream that was refused is on its way out. */
static void on_trailers(struct tunnel *tunnel, struct stream *stream)
{
	struct why why = {0};
	if (stream->is_refused)
		return;
	if (stream->unanswered != NULL) { /* on_close is on its way */
		stream_reset(stream, H2_PROTOCOL_ERROR);
		return;
	}
	h2_stream_reset(tunnel->h2, stream->id, H2_PROTOCOL_ERROR);
	why_set(&why, ERR_PROTOCOL, "DATA alone on a stream that is open (RFC 9113 8.5)",
		"find out what the other sidecar is", "trailers came");
	tunnel_name_peer(tunnel, &why);
	leg_lost(&stream->leg, &why);
}

static void on_headers(
	void *arg, int32_t stream_id, void *owner, const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	(void)end_stream; /* on_end follows */
	struct tunnel *tunnel = arg;
	struct stream *stream = owner;
	bool outbound = tunnel->set->outbound;
	if (!outbound && stream == NULL)
		tunnel->set->hooks->on_request(tunnel, stream_id, headers, num_headers);
	else if (!outbound)
		on_trailers(tunnel, stream);
	else if (stream != NULL && stream->unanswered != NULL)
		tunnel->set->hooks->on_answer(stream, headers, num_headers);
	/* else an answer's trailers, which Envoy sends */
}

static void on_data(void *arg, int32_t stream_id, void *stream, struct span bytes)
{
	(void)arg;
	(void)stream_id;
	if (stream != NULL)
		stream_on_data(stream, bytes);
}

static void on_end(void *arg, int32_t stream_id, void *stream)
{
	(void)arg;
	(void)stream_id;
	if (stream != NULL)
		stream_on_end(stream);
}

static void on_close(void *arg, int32_t stream_id, void *stream, uint32_t error)
{
	(void)stream_id;
	struct tunnel *tunnel = arg;
	tunnel->emptied_ms = loop_now_ms(tunnel->set->loop);
	if (stream != NULL)
		stream_on_close(stream, error);
}

/* Some seconds before either identity ends, so that no stream is on its way when it does; of one that ends sooner, half
 * of what is left. */
static int64_t leave_at_s(const struct tunnel *tunnel)
{
	int64_t own_s = svid_not_after_s(credentials_svid(tunnel->credentials));
	int64_t peer_s = svid_not_after_s(tunnel_peer(tunnel)), now_s = tunnel_set_now_s(tunnel->set);
	int64_t end_s = own_s < peer_s ? own_s : peer_s, left_s = end_s > now_s ? end_s - now_s : 0;
	return end_s - (left_s / 2 < LEAVE_BEFORE_S ? left_s / 2 : LEAVE_BEFORE_S);
}

static void on_settings(void *arg)
{
	struct tunnel *tunnel = arg;
	const struct tunnel_observer *observer = &tunnel->set->observer;
	tunnel->state = TUNNEL_OPEN;
	tunnel->was_open = true;
	tunnel->emptied_ms = loop_now_ms(tunnel->set->loop);
	tunnel->leave_at_s = leave_at_s(tunnel);
	/* Its first streams are served, the next ones go elsewhere: a GOAWAY at once would refuse what its peer has
	 * waited with. */
	if (tunnel->set->is_draining || tunnel->drains_once_open)
		tunnel->drain_at_ms = tunnel->emptied_ms + LATE_TUNNEL_MS;
	tunnel_rearm(tunnel);
	if (observer->on_open != NULL)
		observer->on_open(observer->arg, tunnel->set->outbound, tls_session_key_exchange(tunnel->tls),
			tunnel->emptied_ms - tunnel->handshake_time_ms);
	tunnel->set->hooks->on_open(tunnel);
}

static void on_goaway(void *arg, int32_t last_stream_id, uint32_t error)
{
	(void)last_stream_id; /* streams above it are closed as REFUSED_STREAM */
	(void)error;
	struct tunnel *tunnel = arg;
	tunnel->is_draining = true;
	tunnel->drained_ms = loop_now_ms(tunnel->set->loop);
	tunnel->set->hooks->on_room(tunnel);
}

static void on_ping_ack(void *arg)
{
	struct tunnel *tunnel = arg;
	tunnel->awaits_ping = false;
}

static void on_output_ready(void *arg)
{
	tunnel_want_flush(arg);
}

enum err tunnel_start_h2(struct tunnel *tunnel)
{
	const struct h2_session_options options = {
		.role = tunnel->set->outbound ? H2_CLIENT : H2_SERVER,
		.limits =
			{
				.max_streams = tunnel->set->limits.max_streams,
				.header_bytes = HEADER_BYTES,
				.stream_window = WINDOW_START,
				.connection_window = CONNECTION_WINDOW,
				.frame_bytes = FRAME_MAX,
				/* All that may be under way when it stops taking streams, and some on their way. */
				.resets_free = tunnel->set->limits.max_streams + 2 * TUNNEL_ABANDONED_MAX,
			},
		.callbacks =
			{
				.on_headers = on_headers,
				.on_data = on_data,
				.on_end = on_end,
				.on_close = on_close,
				.pull = stream_pull_body,
				.on_settings = on_settings,
				.on_goaway = on_goaway,
				.on_ping_ack = on_ping_ack,
				.on_output_ready = on_output_ready,
			},
		.arg = tunnel,
	};
	return h2_session_new(&options, &tunnel->h2);
}
