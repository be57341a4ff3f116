/* A tunnel's life: made, drained, lost, freed. */
#include "sidecar/tunnel/tunnel.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/tunnel/stream.h"
#include <netinet/tcp.h>
#include <stdio.h>

enum { RTT_FRESH_MS = 100 };

static struct tunnel *tunnel_new(struct tunnel_set *set, const struct addr *remote)
{
	struct tunnel *tunnel = mem_new(struct tunnel);
	tunnel->set = set;
	tunnel->remote = *remote;
	tunnel->connecting_fd = -1;
	tunnel->credentials = set->credentials == NULL ? NULL : credentials_ref(set->credentials);
	tunnel->heard_ms = loop_now_ms(set->loop);
	tunnel_set_add(set, tunnel);
	return tunnel;
}

static void free_deferred(struct loop_task *task)
{
	struct tunnel *tunnel = container_of(task, struct tunnel, free_deferred);
	tunnel_set_remove(tunnel);
	h2_session_free(tunnel->h2);
	tls_session_free(tunnel->tls);
	fd_close(tunnel->connecting_fd);
	credentials_unref(tunnel->credentials);
	spiffe_id_done(&tunnel->expected);
	mem_free(tunnel);
}

static void give_places(struct tunnel *tunnel)
{
	shares_give(&tunnel->handshake);
	shares_give(&tunnel->of_source);
	shares_give(&tunnel->of_identity);
	shares_give(&tunnel->of_windows);
}

/* What the observer is to count as a failure: it never stood, or it fell with something on it, or not in order. */
static bool is_failure(const struct tunnel *tunnel, unsigned num_streams, const struct why *why)
{
	if (why->err == ERR_NONE || tunnel->state == TUNNEL_CLOSING)
		return false;
	return !tunnel->was_open || num_streams > 0 || why->err != ERR_CLOSED;
}

static void report_loss(struct tunnel *tunnel, bool failed, const struct why *why)
{
	const struct tunnel_observer *observer = &tunnel->set->observer;
	bool outbound = tunnel->set->outbound;
	if (failed && observer->on_failure != NULL)
		observer->on_failure(
			observer->arg, outbound, &tunnel->remote, outbound ? &tunnel->expected : NULL, why);
	if (tunnel->was_open && observer->on_close != NULL)
		observer->on_close(observer->arg, outbound);
}

void tunnel_name_peer(const struct tunnel *tunnel, struct why *why)
{
	char ip[ADDR_TEXT_MAX], host[sizeof why->fix];
	const struct svid *peer = tunnel_peer(tunnel);
	const struct spiffe_id *id = tunnel->set->outbound ? &tunnel->expected : peer != NULL ? svid_id(peer) : NULL;
	ip_addr_format(&tunnel->remote.ip, ip);
	snprintf(host, sizeof host, "%s%s%s", ip, id != NULL && id->text != NULL ? ", " : "",
		id != NULL && id->text != NULL ? id->text : "");
	why_name_host(why, host);
}

void tunnel_lost(struct tunnel *tunnel, const struct why *reason)
{
	struct why named = *reason, *why = &named;
	if (tunnel->state == TUNNEL_CLOSED)
		return;
	tunnel_name_peer(tunnel, &named);
	bool failed = is_failure(tunnel, tunnel->num_streams, why);
	if (tunnel->state == TUNNEL_HANDSHAKING || tunnel->state == TUNNEL_AWAITING_SETTINGS)
		tunnel->is_handshake_failure = true;
	tunnel->state = TUNNEL_CLOSED;
	give_places(tunnel);
	loop_io_stop(&tunnel->io);
	loop_timer_stop(&tunnel->timer);
	loop_task_cancel(&tunnel->flush);
	for (struct stream *stream; (stream = LIST_FIRST(&tunnel->streams, struct stream, link)) != NULL;)
		stream_cut(stream, why);
	report_loss(tunnel, failed, why);
	tunnel->set->hooks->on_closed(tunnel, why);
	loop_task_post(tunnel->set->loop, &tunnel->free_deferred, free_deferred);
}

/* From a task: no caller expects the result within its own call. */
static void fail_to_connect(struct loop_task *task)
{
	struct tunnel *tunnel = container_of(task, struct tunnel, flush);
	char text[ADDR_TEXT_MAX];
	struct why why = {0};
	why_set(&why, tunnel->connect_err, "a connection to the other sidecar",
		"check the route to the other sidecar and the descriptor limit", "cannot connect to %s: %s",
		addr_format(&tunnel->remote, text), err_text(tunnel->connect_err));
	tunnel_lost(tunnel, &why);
}

struct tunnel *tunnel_connect(struct tunnel_set *set, const struct addr *to, const struct spiffe_id *expected)
{
	struct tunnel *tunnel = tunnel_new(set, to);
	spiffe_id_copy(expected, &tunnel->expected);
	tunnel->state = TUNNEL_CONNECTING;
	tunnel->connect_err = socket_connect(to, &(struct socket_connect_options){0}, &tunnel->connecting_fd);
	if (tunnel->connect_err != ERR_NONE) {
		loop_task_post(set->loop, &tunnel->flush, fail_to_connect);
		return tunnel;
	}
	tunnel_start(tunnel, LOOP_WRITE);
	tunnel_rearm(tunnel);
	return tunnel;
}

struct tunnel *tunnel_new_inbound(struct tunnel_set *set, const struct addr *from)
{
	return tunnel_new(set, from);
}

void tunnel_discard(struct tunnel *tunnel)
{
	give_places(tunnel);
	free_deferred(&tunnel->free_deferred);
}

void tunnel_begin(struct tunnel *tunnel, int fd)
{
	struct why why = {0};
	enum err err = tunnel_start_tls(tunnel, fd, &why);
	if (err != ERR_NONE)
		tunnel_lost(tunnel, &why);
}

void tunnel_drain(struct tunnel *tunnel)
{
	if (tunnel->is_draining || tunnel->state == TUNNEL_CLOSED)
		return;
	if (tunnel->state != TUNNEL_OPEN && !tunnel->set->outbound) {
		tunnel->drains_once_open = true;
		return;
	}
	tunnel->is_draining = true;
	tunnel->drained_ms = loop_now_ms(tunnel->set->loop);
	if (tunnel->state != TUNNEL_OPEN) {
		tunnel_lost(tunnel, &(struct why){0}); /* nothing is on it yet */
		return;
	}
	h2_session_shutdown(tunnel->h2); /* and the flush that follows sees whether anything is left */
	tunnel_want_flush(tunnel);
	tunnel_rearm(tunnel);
}

bool tunnel_follow(struct tunnel *tunnel, struct credentials *credentials)
{
	if (credentials == NULL || tunnel->credentials == NULL ||
		!svid_eq(credentials_svid(tunnel->credentials), credentials_svid(credentials)))
		return false;
	credentials_unref(tunnel->credentials);
	tunnel->credentials = credentials_ref(credentials);
	return true;
}

const struct svid *tunnel_peer(const struct tunnel *tunnel)
{
	return tunnel->tls == NULL ? NULL : tls_session_peer(tunnel->tls);
}

bool tunnel_is_busy(const struct tunnel *tunnel)
{
	return loop_now_ms(tunnel->set->loop) < tunnel->busy_until_ms;
}

bool tunnel_may_open(const struct tunnel *tunnel)
{
	return tunnel->state == TUNNEL_OPEN && !tunnel->is_draining && h2_session_streams_left(tunnel->h2) > 0;
}

bool tunnel_is_suspect(const struct tunnel *tunnel)
{
	if (tunnel->state != TUNNEL_OPEN || tunnel->asked_ms <= tunnel->heard_ms ||
		loop_now_ms(tunnel->set->loop) - tunnel->asked_ms < TUNNEL_SILENT_MS)
		return false;
	/* A peer that has nothing to send is silent too; its kernel is not. */
	struct tcp_info facts = {0};
	socklen_t len = sizeof(facts);
	return getsockopt(tls_session_fd(tunnel->tls), IPPROTO_TCP, TCP_INFO, &facts, &len) == 0 &&
	       facts.tcpi_unacked > 0 && facts.tcpi_retransmits > 0;
}

uint32_t tunnel_rtt_ms(struct tunnel *tunnel)
{
	uint64_t now_ms = loop_now_ms(tunnel->set->loop);
	if (tunnel->rtt_at_ms != 0 && now_ms - tunnel->rtt_at_ms < RTT_FRESH_MS)
		return tunnel->rtt_ms;
	struct tcp_path path;
	if (tcp_path_get(tls_session_fd(tunnel->tls), &path))
		tunnel->rtt_ms = path.min_rtt_us / 1000; /* what waits in queues is no reason to send more ahead */
	tunnel->rtt_at_ms = now_ms;
	return tunnel->rtt_ms;
}
