#include "sidecar/tunnel/tunnel_server.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/tunnel/admission.h"
#include "sidecar/tunnel/connect_request.h"
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/tunnel.h"
#include "sidecar/tunnel/tunnel_admission.h"

enum {
	HANDSHAKES_DEFAULT = 256,
	STATUS_OK = 200,
	STATUS_MALFORMED = 400,
	STATUS_DENIED = 401,
	STATUS_UNAVAILABLE = 503
};

struct tunnel_server {
	struct tunnel_set set;
	struct tunnel_admission *admission;
	void (*on_stream)(void *arg, struct inbound_stream *stream);
	void (*on_abandon)(void *arg, struct inbound_stream *stream);
	void *arg;
};

struct inbound_stream {
	struct stream *stream;
	struct connect_request request;
	void *arg;
};

/* --- answers --- */

/* The leg stays with HTTP/2 alone; what the peer still sends is dropped. */
static void answer_refusal(struct stream *stream, unsigned status, const char *reason)
{
	struct tunnel *tunnel = stream->tunnel;
	char status_text[4];
	struct h2_header headers[ANSWER_HEADERS];
	size_t num_headers = connect_answer_encode(status, reason, status_text, headers);
	stream->is_refused = true;
	stream->is_held = false;
	leg_drop_buffered(&stream->leg); /* bytes that came before the verdict */
	stream->next_answered = tunnel->answered_last;
	tunnel->answered_last = stream;
	if (h2_stream_respond(tunnel->h2, stream->id, headers, num_headers, true) != ERR_NONE)
		stream_reset(stream, H2_CANCEL);
}

void inbound_stream_refuse(struct inbound_stream *inbound, unsigned status, const char *reason)
{
	struct stream *stream = inbound->stream;
	stream->unanswered = NULL;
	mem_free(inbound);
	answer_refusal(stream, status, reason);
}

struct leg *inbound_stream_accept(struct inbound_stream *inbound)
{
	struct stream *stream = inbound->stream;
	stream->unanswered = NULL;
	mem_free(inbound);
	char status_text[4];
	struct h2_header headers[ANSWER_HEADERS];
	size_t num_headers = connect_answer_encode(STATUS_OK, NULL, status_text, headers);
	if (h2_stream_respond(stream->tunnel->h2, stream->id, headers, num_headers, false) != ERR_NONE)
		stream_reset(stream, H2_CANCEL);
	return &stream->leg;
}

/* --- requests --- */

static const char *reason_of(enum err err)
{
	if (err == ERR_UNAVAILABLE)
		return "no_identity";
	return err == ERR_EXPIRED || err == ERR_NOT_YET_VALID ? "peer_expired" : "peer_untrusted";
}

static void report_failure(const struct tunnel *tunnel, const struct why *why)
{
	const struct tunnel_observer *observer = &tunnel->set->observer;
	if (observer->on_failure != NULL)
		observer->on_failure(observer->arg, false, &tunnel->remote, NULL, why);
}

/* The tunnel has outlived an identity: no stream any more, and the peer is to open another tunnel. */
static void refuse_by_identity(struct stream *stream, const struct why *why)
{
	struct tunnel *tunnel = stream->tunnel;
	if (why->err == ERR_EXPIRED) { /* what a new tunnel mends: the peer opens it again there, and reports the reason
					  if it cannot */
		stream->is_held = false;
		stream_reset(stream, H2_REFUSED_STREAM);
		tunnel_drain(tunnel);
		return;
	}
	report_failure(tunnel, why);
	answer_refusal(stream, why->err == ERR_UNAVAILABLE ? STATUS_UNAVAILABLE : STATUS_DENIED, reason_of(why->err));
	tunnel_drain(tunnel);
}

static void on_request(struct tunnel *tunnel, int32_t stream_id, const struct h2_header *headers, size_t num_headers)
{
	struct tunnel_server *server = tunnel->set->owner;
	struct stream *stream = stream_new(tunnel);
	stream->id = stream_id;
	h2_stream_attach(tunnel->h2, stream_id, stream);
	struct why why = {0};
	struct connect_request request;
	if (connect_request_parse(headers, num_headers, &request, &why) != ERR_NONE) {
		report_failure(tunnel, &why);
		answer_refusal(stream, STATUS_MALFORMED, "malformed");
		return;
	}
	if (admission_check(tunnel, &why) != ERR_NONE) {
		refuse_by_identity(stream, &why);
		return;
	}
	struct inbound_stream *inbound = mem_new(struct inbound_stream);
	inbound->stream = stream;
	inbound->request = request;
	stream->unanswered = inbound;
	server->on_stream(server->arg, inbound);
}

static void on_unanswered_end(struct stream *stream, uint32_t error, const struct why *why)
{
	(void)error;
	(void)why; /* the tunnel's loss is reported once, not for each stream */
	struct tunnel *tunnel = stream->tunnel;
	struct tunnel_server *server = tunnel->set->owner;
	struct inbound_stream *inbound = TAKE_PTR(stream->unanswered);
	server->on_abandon(server->arg, inbound);
	stream_release(stream);
	mem_free(inbound);
	if (++tunnel->num_abandoned == TUNNEL_ABANDONED_MAX)
		tunnel_drain(tunnel);
}

/* The application sends after the answer. */
static enum io_result pull_nothing(struct stream *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	(void)stream;
	(void)to;
	(void)cap;
	(void)out_len;
	return IO_WANT_READ;
}

static void on_nothing(struct tunnel *tunnel)
{
	(void)tunnel;
}

static void on_closed(struct tunnel *tunnel, const struct why *why)
{
	(void)tunnel;
	(void)why;
}

static enum err on_identified(struct tunnel *tunnel, struct why *why)
{
	struct tunnel_server *server = tunnel->set->owner;
	return tunnel_admission_identify(server->admission, tunnel, why);
}

static const struct tunnel_hooks server_hooks = {
	.on_identified = on_identified,
	.on_open = on_nothing,
	.on_closed = on_closed,
	.on_room = on_nothing,
	.on_request = on_request,
	.pull_early = pull_nothing,
	.on_unanswered_end = on_unanswered_end,
};

/* --- the server --- */

struct tunnel_server *tunnel_server_new(const struct tunnel_server_options *options)
{
	struct tunnel_server *server = mem_new(struct tunnel_server);
	server->on_stream = options->on_stream;
	server->on_abandon = options->on_abandon;
	server->arg = options->arg;
	tunnel_set_init(&server->set, &options->tunnels, &server_hooks, server, false);
	server->admission = tunnel_admission_new(
		&server->set, options->max_handshakes == 0 ? HANDSHAKES_DEFAULT : options->max_handshakes);
	return server;
}

void tunnel_server_free(struct tunnel_server *server)
{
	if (server == NULL)
		return;
	tunnel_set_done(&server->set);
	tunnel_admission_free(server->admission);
	mem_free(server);
}

static enum err adopt(struct tunnel_server *server, int fd, const struct addr *from, struct why *why)
{
	const struct credentials *credentials = server->set.credentials;
	if (credentials == NULL || !credentials_are_valid(credentials, tunnel_set_now_s(&server->set)))
		return why_set(why, ERR_UNAVAILABLE, "a valid identity of this sidecar",
			"check that the control plane is reachable: `handfast check`",
			"this sidecar has no valid identity");
	struct tunnel *tunnel = tunnel_new_inbound(&server->set, from);
	enum err err = tunnel_admission_enter(server->admission, tunnel, why);
	if (err == ERR_NONE)
		tunnel_begin(tunnel, fd);
	else
		tunnel_discard(tunnel);
	return err;
}

void tunnel_server_adopt(struct tunnel_server *server, int fd, const struct addr *from)
{
	struct why why = {0};
	if (adopt(server, fd, from, &why) == ERR_NONE)
		return;
	socket_set_reset_on_close(fd, true);
	fd_close(fd);
	const struct tunnel_observer *observer = &server->set.observer;
	if (observer->on_failure != NULL)
		observer->on_failure(observer->arg, false, from, NULL, &why);
}

void tunnel_server_set_credentials(struct tunnel_server *server, struct credentials *credentials)
{
	tunnel_set_credentials(&server->set, credentials);
}

void tunnel_server_drain(struct tunnel_server *server)
{
	tunnel_set_drain(&server->set);
}

unsigned tunnel_server_num_tunnels(const struct tunnel_server *server)
{
	return server->set.num_tunnels;
}

unsigned tunnel_server_num_streams(const struct tunnel_server *server)
{
	return server->set.num_streams;
}

int64_t tunnel_server_oldest_identity_s(const struct tunnel_server *server)
{
	return tunnel_set_oldest_identity_s(&server->set);
}

void tunnel_server_each(const struct tunnel_server *server, tunnel_each_fn *each, void *arg)
{
	tunnel_set_each(&server->set, each, arg);
}

/* --- what a request has --- */

const struct addr *inbound_stream_authority(const struct inbound_stream *stream)
{
	return &stream->request.authority;
}

const struct addr *inbound_stream_local(const struct inbound_stream *stream)
{
	return &stream->stream->tunnel->local;
}

const struct addr *inbound_stream_remote(const struct inbound_stream *stream)
{
	return &stream->stream->tunnel->remote;
}

const struct svid *inbound_stream_peer(const struct inbound_stream *stream)
{
	return tunnel_peer(stream->stream->tunnel);
}

enum key_exchange inbound_stream_key_exchange(const struct inbound_stream *stream)
{
	return tls_session_key_exchange(stream->stream->tunnel->tls);
}

const struct addr *inbound_stream_forwarded(const struct inbound_stream *stream)
{
	return stream->request.forwarded.ip.family == 0 ? NULL : &stream->request.forwarded;
}

void inbound_stream_set_arg(struct inbound_stream *stream, void *arg)
{
	stream->arg = arg;
}

void *inbound_stream_arg(const struct inbound_stream *stream)
{
	return stream->arg;
}
