/* A tunnel's timeouts of connecting, handshaking, silence, idleness and closing. One timer; traffic does not move it.
 */
#include "base/core/fixed_ports.h"
#include "sidecar/tunnel/tunnel.h"

enum {
	PING_ANSWER_MS = 20000,
	CLOSE_NOTIFY_MS = 1000,
	FIRST_BYTE_MS = 2000, /* of the ClientHello */
	NOTICE_MS = 1000,     /* from the notice of a shutdown to the final GOAWAY, if the peer withholds its ack */
	/* The side that opened a tunnel closes it when idle; the other side only where that one does not. */
	INBOUND_IDLE_FACTOR = 2,
};

static void time_out(struct tunnel *tunnel, const char *expected, const char *fix, const char *got)
{
	struct why why = {0};
	why_set(&why, ERR_TIMEOUT, expected, fix, "%s", got);
	tunnel_lost(tunnel, &why);
}

static uint64_t idle_limit_ms(const struct tunnel *tunnel)
{
	uint64_t idle_ms = tunnel->set->limits.idle_ms;
	return tunnel->set->outbound ? idle_ms : idle_ms * INBOUND_IDLE_FACTOR;
}

static void inspect_empty(struct tunnel *tunnel, uint64_t now_ms)
{
	uint64_t empty_ms = now_ms - tunnel->emptied_ms;
	if (!tunnel->is_draining && empty_ms >= idle_limit_ms(tunnel))
		tunnel_drain(tunnel);
	else if (tunnel->is_draining && empty_ms >= PING_ANSWER_MS)
		tunnel_lost(tunnel, &(struct why){0}); /* its peer does not close, and nothing is on it */
}

static void inspect_silence(struct tunnel *tunnel, uint64_t now_ms)
{
	if (tunnel->awaits_ping && tunnel->heard_ms >= tunnel->ping_ms)
		tunnel->awaits_ping = false;
	if (tunnel->awaits_ping) {
		if (now_ms - tunnel->ping_ms >= PING_ANSWER_MS)
			time_out(tunnel, "an answer to PING within 20 s", "check the network between the two sidecars",
				"the peer did not answer a PING");
		return;
	}
	if (now_ms - tunnel->heard_ms < tunnel->set->limits.ping_ms)
		return;
	tunnel->awaits_ping = true;
	tunnel->ping_ms = now_ms;
	h2_session_ping(tunnel->h2);
}

static void inspect_drain(struct tunnel *tunnel, uint64_t now_ms)
{
	bool is_time = tunnel->drain_at_ms != 0 && now_ms >= tunnel->drain_at_ms;
	if (!tunnel->is_draining && (is_time || tunnel_set_now_s(tunnel->set) >= tunnel->leave_at_s))
		tunnel_drain(tunnel);
	else if (tunnel->is_draining && now_ms - tunnel->drained_ms >= NOTICE_MS)
		h2_session_shutdown_end(tunnel->h2);
}

static void inspect_open(struct tunnel *tunnel)
{
	uint64_t now_ms = loop_now_ms(tunnel->set->loop);
	inspect_drain(tunnel, now_ms);
	/* The limit is of the whole process: streams of other sets may wait for what readers of this set hold. */
	if (flow_control_memory_left(tunnel->set->budget) < WINDOW_START)
		tunnel_set_shed(tunnel->set);
	if (tunnel->num_streams == 0)
		inspect_empty(tunnel, now_ms);
	else
		inspect_silence(tunnel, now_ms);
	tunnel_rearm(tunnel);
}

static void on_timer(struct loop_timer *timer)
{
	struct tunnel *tunnel = container_of(timer, struct tunnel, timer);
	switch (tunnel->state) {
	case TUNNEL_CONNECTING:
		time_out(tunnel, "an answer from the other sidecar's port",
			"check that a sidecar runs there and that port " FIXED_TEXT(FIXED_PORT_TUNNEL) " is open",
			"the TCP connection was not answered in time");
		return;
	case TUNNEL_HANDSHAKING:
		time_out(tunnel, "a TLS handshake in time", "check the load of the other sidecar",
			"the handshake was not finished in time");
		return;
	case TUNNEL_AWAITING_SETTINGS:
		time_out(tunnel, "HTTP/2 SETTINGS after the handshake", "check that the other sidecar uses HBONE",
			"no SETTINGS arrived in time");
		return;
	case TUNNEL_OPEN:
		inspect_open(tunnel);
		return;
	case TUNNEL_CLOSING:
		tunnel_lost(tunnel, &(struct why){0});
		return;
	case TUNNEL_CLOSED:
		return;
	}
}

static uint64_t until_ms(uint64_t at_ms, uint64_t now_ms)
{
	return at_ms > now_ms ? at_ms - now_ms : 1;
}

static uint64_t until_silence_ms(const struct tunnel *tunnel, uint64_t now_ms)
{
	if (tunnel->num_streams == 0)
		return until_ms(
			tunnel->emptied_ms + (tunnel->is_draining ? PING_ANSWER_MS : idle_limit_ms(tunnel)), now_ms);
	if (tunnel->awaits_ping)
		return until_ms(tunnel->ping_ms + PING_ANSWER_MS, now_ms);
	return until_ms(tunnel->heard_ms + tunnel->set->limits.ping_ms, now_ms);
}

static uint64_t until_drain_ms(const struct tunnel *tunnel, uint64_t now_ms)
{
	if (tunnel->is_draining)
		return now_ms - tunnel->drained_ms < NOTICE_MS ? until_ms(tunnel->drained_ms + NOTICE_MS, now_ms)
							       : UINT64_MAX;
	int64_t left_s = tunnel->leave_at_s - tunnel_set_now_s(tunnel->set);
	uint64_t left_ms = left_s > 0 ? (uint64_t)left_s * 1000 : 1;
	uint64_t drain_ms = tunnel->drain_at_ms == 0 ? UINT64_MAX : until_ms(tunnel->drain_at_ms, now_ms);
	return left_ms < drain_ms ? left_ms : drain_ms;
}

/* At least as often as silence is checked: the clock may have jumped, and the memory limit is checked. */
static uint64_t next_poll_ms(const struct tunnel *tunnel)
{
	uint64_t now_ms = loop_now_ms(tunnel->set->loop), ping_ms = tunnel->set->limits.ping_ms;
	uint64_t silence_ms = until_silence_ms(tunnel, now_ms), drain_ms = until_drain_ms(tunnel, now_ms);
	uint64_t next_ms = silence_ms < drain_ms ? silence_ms : drain_ms;
	return next_ms < ping_ms ? next_ms : ping_ms;
}

/* A source that connects and sends nothing takes a place that another needs. */
static uint64_t handshake_limit_ms(const struct tunnel *tunnel)
{
	uint64_t timeout_ms = tunnel->set->limits.handshake_timeout_ms;
	bool is_silent = !tunnel->set->outbound && !tunnel->is_greeted;
	return is_silent && timeout_ms > FIRST_BYTE_MS ? FIRST_BYTE_MS : timeout_ms;
}

void tunnel_rearm(struct tunnel *tunnel)
{
	const struct tunnel_limits *limits = &tunnel->set->limits;
	uint64_t delay_ms = 0;
	switch (tunnel->state) {
	case TUNNEL_CONNECTING:
		delay_ms = limits->connect_timeout_ms;
		break;
	case TUNNEL_HANDSHAKING:
		delay_ms = handshake_limit_ms(tunnel);
		break;
	case TUNNEL_AWAITING_SETTINGS: /* the handshake's timeout goes on until SETTINGS */
		delay_ms = limits->handshake_timeout_ms;
		break;
	case TUNNEL_OPEN:
		delay_ms = next_poll_ms(tunnel);
		break;
	case TUNNEL_CLOSING:
		delay_ms = CLOSE_NOTIFY_MS;
		break;
	case TUNNEL_CLOSED:
		return;
	}
	loop_timer_start(tunnel->set->loop, &tunnel->timer, delay_ms, on_timer);
}
