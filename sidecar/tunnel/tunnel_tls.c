/* A tunnel's handshake: our identity, and the peer's expected one. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/tunnel/admission.h"
#include "sidecar/tunnel/tunnel.h"

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	return admission_verify(arg, chain, num_chain, out_svid, why);
}

/* The addresses are the same two at both ends, so that lines of two sidecars can be matched. */
static void on_step(void *arg, const char *step)
{
	const struct tunnel *tunnel = arg;
	char local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX];
	log_debug("handshake", "as %s, %s with %s: %s", tunnel->set->outbound ? "client" : "server",
		addr_format(&tunnel->local, local), addr_format(&tunnel->remote, remote), step);
}

enum err tunnel_start_tls(struct tunnel *tunnel, int fd, struct why *why)
{
	struct tunnel_set *set = tunnel->set;
	struct tls_session_options options = {
		.context = set->context,
		.scratch = set->scratch,
		.fd = fd,
		.svid = credentials_svid(tunnel->credentials),
		.key = credentials_key(tunnel->credentials),
		.gathers_first = true,
		.on_verify = on_verify,
		.verify_arg = tunnel,
	};
	socket_set_nodelay(fd); /* batches are made in tunnel_io.c */
	/* What the kernel holds that was not sent yet stands before every small request, too. */
	tcp_path_set_unsent(fd, pace_batch(&tunnel->pace));
	(void)!socket_local_addr(
		fd, &tunnel->local); /* fails only where the connection is closed; reading reports it */
	RETURN_IF_ERR(tls_session_new(&options, &tunnel->tls, why));
	if (log_enabled(LOG_LEVEL_DEBUG)) /* otherwise the session does no work for it */
		tls_session_trace(tunnel->tls, on_step, tunnel);
	tunnel->state = TUNNEL_HANDSHAKING;
	tunnel->handshake_time_ms = loop_now_ms(set->loop);
	tunnel_start(tunnel, LOOP_READ);
	tunnel_rearm(tunnel);
	return ERR_NONE;
}

static void on_established(struct tunnel *tunnel)
{
	const struct tunnel_hooks *hooks = tunnel->set->hooks;
	struct why why = {0};
	shares_give(&tunnel->handshake);
	if (hooks->on_identified != NULL && hooks->on_identified(tunnel, &why) != ERR_NONE) {
		tunnel_lost(tunnel, &why);
		return;
	}
	tunnel->state = TUNNEL_AWAITING_SETTINGS;
	CHECK(tunnel_start_h2(tunnel) == ERR_NONE); /* its settings are constants */
	loop_io_set_interest(&tunnel->io, LOOP_READ);
	tunnel_want_flush(tunnel);
	if (tls_session_has_pending(tunnel->tls)) /* no event will report it */
		tunnel_receive(tunnel);
}

void tunnel_handshake(struct tunnel *tunnel)
{
	struct why why = {0};
	if (!tunnel->is_greeted) {
		tunnel->is_greeted = true;
		tunnel_rearm(tunnel);
	}
	switch (tls_session_handshake(tunnel->tls)) {
	case IO_DONE:
		on_established(tunnel);
		return;
	case IO_WANT_READ:
		loop_io_set_interest(&tunnel->io, LOOP_READ);
		return;
	case IO_WANT_WRITE:
		loop_io_set_interest(&tunnel->io, LOOP_READ | LOOP_WRITE);
		return;
	case IO_EOF:
	case IO_FAILED:
		why = *tls_session_why(tunnel->tls);
		tunnel->was_failed_by_peer = tls_session_failed_by_peer(tunnel->tls);
		tunnel_lost(tunnel, &why);
		return;
	}
}
