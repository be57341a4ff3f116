/* A tunnel's bytes: what one round of the loop reads, and what its end writes. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/tunnel.h"

enum {
	RECEIVE_TURNS = 1, /* of TUNNEL_IN_LEN each, and what was read with it; then the next tunnel is read */
	FLUSH_TURNS = 2,   /* of PACE_MAX each: a small request waits for one round of bulk */
};

static void want_write(struct tunnel *tunnel, bool wanted)
{
	loop_io_set_interest(&tunnel->io, LOOP_READ | (wanted ? LOOP_WRITE : 0));
}

/* --- in --- */

static enum err feed(struct tunnel *tunnel, struct span bytes, struct why *why)
{
	uint64_t now_ms = loop_now_ms(tunnel->set->loop);
	bool was_silent = now_ms - tunnel->heard_ms >= TUNNEL_SILENT_MS;
	tunnel->heard_ms = now_ms;
	enum err err = h2_session_feed(tunnel->h2, bytes, why);
	if (err == ERR_NONE && was_silent && tunnel->state == TUNNEL_OPEN)
		tunnel->set->hooks->on_room(tunnel); /* it is no suspect any more */
	if (err == ERR_NONE)
		return ERR_NONE;
	/* The peer gets the reason, if its socket takes it. */
	struct buf *out = &tunnel->set->out;
	buf_clear(out);
	buf_set_max(out, PACE_MAX); /* of the tunnel that was written last it may be less */
	size_t len;
	if (h2_session_produce(tunnel->h2, out) != IO_FAILED && buf_len(out) > 0 &&
		tls_session_write(tunnel->tls, buf_span(out), &len) == IO_DONE)
		(void)!tls_session_flush(tunnel->tls);
	return err;
}

static enum io_result receive_once(struct tunnel *tunnel, size_t *out_len, struct why *why)
{
	enum io_result result = tls_session_read(tunnel->tls, tunnel->set->in, TUNNEL_IN_LEN, out_len);
	if (result == IO_DONE && tunnel->state != TUNNEL_CLOSING &&
		feed(tunnel, span_of(tunnel->set->in, *out_len), why) != ERR_NONE)
		return IO_FAILED;
	if (result == IO_FAILED) {
		*why = *tls_session_why(tunnel->tls);
		tunnel->was_failed_by_peer = tls_session_failed_by_peer(tunnel->tls);
	}
	if (result == IO_EOF)
		why_set(why, ERR_CLOSED, "a tunnel that lives as long as its streams",
			"inspect the log of the other sidecar", "the peer closed the tunnel with close_notify");
	return result;
}

void tunnel_receive(struct tunnel *tunnel)
{
	struct why why = {0};
	for (unsigned turn = 0; turn < RECEIVE_TURNS || tls_session_has_pending(tunnel->tls); turn++) {
		size_t len = 0;
		enum io_result result = receive_once(tunnel, &len, &why);
		if (result == IO_EOF || result == IO_FAILED) {
			tunnel_lost(tunnel, &why);
			return;
		}
		if (result != IO_DONE || (len < TUNNEL_IN_LEN && !tls_session_has_pending(tunnel->tls)))
			break;
	}
	if (tunnel->state != TUNNEL_CLOSING)
		tunnel_want_flush(tunnel);
}

/* --- out --- */

/* The answers of refused streams have left: the streams need not wait for the peer's end. */
static void close_answered(struct tunnel *tunnel)
{
	while (tunnel->answered_last != NULL) {
		struct stream *stream = tunnel->answered_last;
		tunnel->answered_last = stream->next_answered;
		stream->next_answered = NULL;
		h2_stream_reset(tunnel->h2, stream->id, H2_NO_ERROR);
	}
}

static enum io_result write_out(struct tunnel *tunnel)
{
	struct span rest = buf_span(&tunnel->set->out);
	if (tunnel->asked_ms <= tunnel->heard_ms)
		tunnel->asked_ms = loop_now_ms(tunnel->set->loop);
	while (rest.len > 0) {
		size_t len = 0;
		enum io_result result = tls_session_write(tunnel->tls, rest, &len);
		if (result == IO_FAILED)
			return IO_FAILED;
		CHECK(result == IO_DONE); /* its output was empty, and holds more than ours */
		rest = span_from(rest, len);
	}
	return tls_session_flush(tunnel->tls);
}

/* Only where output waited: a path with little to carry shows nothing of itself. */
static void judge_path(struct tunnel *tunnel)
{
	struct tcp_path path;
	int fd = tls_session_fd(tunnel->tls);
	if (!tunnel->waits_to_write || !pace_wants_facts(&tunnel->pace, loop_now_ms(tunnel->set->loop)) ||
		!tcp_path_get(fd, &path))
		return;
	if (pace_judge(&tunnel->pace, &path))
		tcp_path_set_unsent(fd, pace_batch(&tunnel->pace));
}

/* IO_DONE: nothing is left; IO_WANT_WRITE: more than the kernel takes, or than the tunnel's share of this round. */
static enum io_result flush_all(struct tunnel *tunnel)
{
	uint32_t batch = pace_batch(&tunnel->pace);
	unsigned turns = batch < PACE_MAX ? 1 : FLUSH_TURNS;
	/* The end of a client's handshake leaves with its first frames. */
	bool gathers = tunnel->state == TUNNEL_AWAITING_SETTINGS;
	enum io_result flushed = gathers ? IO_DONE : tls_session_flush(tunnel->tls);
	for (unsigned turn = 0; flushed == IO_DONE; turn++) {
		if (turn == turns)
			return IO_WANT_WRITE;
		buf_clear(&tunnel->set->out);
		buf_set_max(&tunnel->set->out, batch);
		enum io_result produced = h2_session_produce(tunnel->h2, &tunnel->set->out);
		if (buf_len(&tunnel->set->out) > 0)
			flushed = write_out(tunnel);
		if (produced == IO_DONE)
			break;
	}
	return flushed == IO_DONE ? tls_session_flush(tunnel->tls) : flushed;
}

static void write_lost(struct tunnel *tunnel)
{
	tunnel->was_failed_by_peer = tls_session_failed_by_peer(tunnel->tls);
	struct why why = *tls_session_why(tunnel->tls); /* it has read what was left before it named a reason */
	tunnel_lost(tunnel, &why);
}

static void close_if_done(struct tunnel *tunnel)
{
	if (tunnel->num_streams > 0 || !h2_session_is_done(tunnel->h2) || tls_session_unflushed(tunnel->tls) > 0)
		return;
	tunnel->state = TUNNEL_CLOSING;
	tunnel->is_draining = true;
	tls_session_close_notify(tunnel->tls);
	struct why why = {0};
	if (tls_session_flush(tunnel->tls) != IO_DONE) {
		tunnel_lost(tunnel, &why);
		return;
	}
	(void)shutdown(tls_session_fd(tunnel->tls), SHUT_WR);
	tunnel_rearm(tunnel);
}

static void on_flush(struct loop_task *task)
{
	struct tunnel *tunnel = container_of(task, struct tunnel, flush);
	if (tunnel->h2 == NULL || tunnel->state == TUNNEL_CLOSED || tunnel->state == TUNNEL_CLOSING)
		return;
	judge_path(tunnel);
	enum io_result result = flush_all(tunnel);
	if (result == IO_FAILED) {
		write_lost(tunnel);
		return;
	}
	tunnel->waits_to_write = result == IO_WANT_WRITE;
	want_write(tunnel, tunnel->waits_to_write);
	if (result == IO_DONE && tunnel->answered_last != NULL)
		close_answered(tunnel);
	close_if_done(tunnel);
}

void tunnel_want_flush(struct tunnel *tunnel)
{
	loop_task_post(tunnel->set->loop, &tunnel->flush, on_flush);
}

/* --- closing --- */

/* Unread bytes would make the kernel send a reset, which may overtake what was just written. */
static void read_away(int fd)
{
	uint8_t scratch[16 * 1024];
	for (unsigned turn = 0; turn < 64; turn++)
		if (recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT) <= 0)
			return;
}

void tunnel_end(struct tunnel *tunnel, const struct why *why)
{
	if (tunnel->state == TUNNEL_AWAITING_SETTINGS || tunnel->state == TUNNEL_OPEN) {
		h2_session_goaway(tunnel->h2, H2_NO_ERROR);
		if (flush_all(tunnel) != IO_FAILED) {
			tls_session_close_notify(tunnel->tls);
			(void)!tls_session_flush(tunnel->tls);
			(void)shutdown(tls_session_fd(tunnel->tls), SHUT_WR);
			read_away(tls_session_fd(tunnel->tls));
		}
	}
	tunnel_lost(tunnel, why);
}

/* --- the socket --- */

static void on_connected(struct tunnel *tunnel)
{
	char text[ADDR_TEXT_MAX];
	struct why why = {0};
	enum err err = socket_connect_result(tunnel->connecting_fd);
	loop_io_stop(&tunnel->io);
	if (err == ERR_NONE) {
		err = tunnel_start_tls(tunnel, TAKE_FD(tunnel->connecting_fd), &why);
		tunnel->is_handshake_failure = err != ERR_NONE;
	} else {
		why_set(&why, err, "a sidecar that accepts tunnels", "check that a sidecar runs there",
			"cannot connect to %s: %s", addr_format(&tunnel->remote, text), err_text(err));
	}
	if (err != ERR_NONE) {
		tunnel_lost(tunnel, &why);
		return;
	}
	tunnel_handshake(tunnel);
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct tunnel *tunnel = container_of(io, struct tunnel, io);
	switch (tunnel->state) {
	case TUNNEL_CONNECTING:
		on_connected(tunnel);
		return;
	case TUNNEL_HANDSHAKING: /* one that has to wait is ready again in the next round */
		if (tunnel->set->outbound || tunnel_set_may_handshake(tunnel->set))
			tunnel_handshake(tunnel);
		return;
	case TUNNEL_AWAITING_SETTINGS:
	case TUNNEL_OPEN:
	case TUNNEL_CLOSING:
		if ((ready & LOOP_WRITE) != 0)
			tunnel_want_flush(tunnel);
		if ((ready & LOOP_READ) != 0)
			tunnel_receive(tunnel);
		return;
	case TUNNEL_CLOSED:
		return;
	}
}

void tunnel_start(struct tunnel *tunnel, unsigned interest)
{
	int fd = tunnel->connecting_fd >= 0 ? tunnel->connecting_fd : tls_session_fd(tunnel->tls);
	loop_io_start(tunnel->set->loop, &tunnel->io, fd, interest, on_ready);
}
