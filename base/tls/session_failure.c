#include "base/tls/session_failure.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/tls/alert.h"
#include <openssl/err.h>
#include <sys/socket.h>

/* Maximum of bytes before the alert on a lost connection: more than any socket buffer. */
enum { ALERT_INPUT_MAX = 16 * 1024 * 1024, ALERT_INPUT_STEP = 16 * 1024 };
/* Maximum of input that is dropped so that the own alert is delivered. */
enum { UNREAD_STEP = 4096, UNREAD_STEPS_MAX = 16 };

static void on_state(const SSL *ssl, int what, int value)
{
	int level = value >> 8;
	if ((what != SSL_CB_READ_ALERT && what != SSL_CB_WRITE_ALERT) || level != SSL3_AL_FATAL)
		return;
	struct tls_session *session = session_of(ssl);
	session->alert = (int16_t)(value & 0xff);
	session->has_failed_by_peer = what == SSL_CB_READ_ALERT;
}

void session_failure_watch_alerts(SSL_CTX *ctx)
{
	SSL_CTX_set_info_callback(ctx, on_state);
}

struct why *session_why_slot(struct tls_session *session)
{
	if (session->detail == NULL)
		session->detail = mem_new(struct why);
	return session->detail;
}

static enum err explain_transport(const struct tls_session *session, struct why *why)
{
	int errnum = session->input.errnum != 0 ? session->input.errnum : session->output.errnum;
	if (errnum != 0)
		return why_set(why, err_from_errno(errnum), "an open connection", "look at the peer's log",
			"the connection was lost %s: %s",
			session->is_established ? "without close_notify" : "in the handshake", strerrordesc_np(errnum));
	return why_set(why, ERR_TRUNCATED, "close_notify before the end", "look at the peer's log",
		"the peer closed the connection %s",
		session->is_established ? "without close_notify" : "in the handshake");
}

static enum err explain_protocol(const struct tls_session *session, uint32_t packed, struct why *why)
{
	static const char expected[] = "TLS 1.3 as in RFC 8446";
	const char *reason = ERR_reason_error_string(packed);
	int code = ERR_GET_LIB(packed) == ERR_LIB_SSL ? ERR_GET_REASON(packed) : 0;
	const char *alert = session->alert != NO_ALERT ? alert_name(session->alert) : "none";
	if (packed == 0)
		return why_set(why, ERR_CLOSED, expected, "look at the peer's log",
			"the peer sent close_notify in the handshake");
	if (code == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return why_set(why, ERR_NO_CERTIFICATE, "the peer's certificate", "check that the peer has an identity",
			"the peer sent no certificate (alert sent: %s)", alert);
	if (code == SSL_R_UNSUPPORTED_PROTOCOL)
		return why_set(why, ERR_UNSUPPORTED, "TLS 1.3",
			"check that the peer is a sidecar or a control plane of the mesh",
			"the peer supports older versions only (alert sent: %s)", alert);
	if (code == SSL_R_NO_SHARED_GROUP)
		return why_set(why, ERR_UNSUPPORTED, "a common group for the key exchange",
			"compare tls.profile and tls.groups of both ends",
			"the client offers none of this side's groups (alert sent: %s)", alert);
	if (code == SSL_R_HTTP_REQUEST || code == SSL_R_WRONG_VERSION_NUMBER || code == SSL_R_HTTPS_PROXY_REQUEST)
		return why_set(why, ERR_PROTOCOL, "a TLS hello", "check that the peer uses TLS on this port",
			"the peer sent bytes that are not TLS: %s", reason);
	return why_set(why, ERR_PROTOCOL, expected, "look at the peer's log",
		"the handshake or a record is invalid: %s (alert sent: %s)", reason != NULL ? reason : "unknown reason",
		alert);
}

static bool is_transport_broken(const struct tls_session *session)
{
	return session->input.is_eof || session->input.errnum != 0 || session->output.errnum != 0;
}

/* Sends the alert if the kernel accepts it. close() with unread bytes would send RST, which can discard the alert at
 * the peer: so the input is read first. */
static void send_pending_alert(struct tls_session *session)
{
	uint8_t bytes[UNREAD_STEP];
	if (output_len(&session->output) == 0 || output_flush(&session->output, session->fd) != IO_DONE)
		return;
	(void)shutdown(session->fd, SHUT_WR);
	for (int i = 0; i < UNREAD_STEPS_MAX && recv(session->fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++)
		continue;
}

enum io_result session_fail(struct tls_session *session)
{
	uint32_t packed = ERR_peek_error();
	struct why *why = session_why_slot(session);
	enum err err = why->err;
	if (session->has_failed_by_peer)
		err = alert_explain(session->alert, why);
	else if (err == ERR_NONE && (session->alert != NO_ALERT || !is_transport_broken(session)))
		err = explain_protocol(session, packed, why);
	else if (err == ERR_NONE)
		err = explain_transport(session, why);
	CHECK(err != ERR_NONE); /* a failure without a reason would read as success */
	why->err = err;
	ERR_clear_error();
	session->has_failed = true;
	if (session->alert != NO_ALERT && !session->has_failed_by_peer)
		send_pending_alert(session);
	return IO_FAILED;
}

static bool read_and_forget(struct tls_session *session, uint8_t *bytes, size_t cap)
{
	int result = session->is_established ? SSL_read(session->ssl, bytes, (int)cap) : SSL_do_handshake(session->ssl);
	if (result > 0 && !session->is_established)
		session->is_established = true;
	return result > 0;
}

enum io_result session_fail_after_write(struct tls_session *session)
{
	uint8_t bytes[ALERT_INPUT_STEP];
	input_rearm(&session->input);
	for (size_t seen = 0; seen < ALERT_INPUT_MAX && read_and_forget(session, bytes, sizeof bytes);)
		seen += sizeof bytes;
	return session_fail(session);
}
