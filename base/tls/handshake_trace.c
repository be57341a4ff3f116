#include "base/tls/handshake_trace.h"
#include <openssl/ssl3.h>
#include <stdio.h>

enum seen { SEEN_RECEIVED = 1, SEEN_SENT = 2, SEEN_BOTH = 3, SEEN_REPORTED = 4 };

static void _printf_(2, 3) report(struct tls_session *session, const char *format, ...)
{
	char text[SPIFFE_ID_MAX + 128];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	session->on_step(session->step_arg, text);
}

static const char *our_name(const struct tls_session *session)
{
	return session->is_client ? "client" : "server";
}

static const char *peer_name(const struct tls_session *session)
{
	return session->is_client ? "server" : "client";
}

static void report_presented(struct tls_session *session, const char *who, const struct svid *svid)
{
	struct span id = svid != NULL ? spiffe_id_text(svid_id(svid)) : SPAN_LITERAL("one without a SPIFFE ID");
	report(session, "%s presents its certificate: %.*s", who, (int)id.len, (const char *)id.ptr);
}

/* Messages without content of interest. */
static void on_message(int is_write, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	struct tls_session *session = arg;
	(void)version, (void)ssl;
	if (type != SSL3_RT_HANDSHAKE || len == 0 || session->on_step == NULL)
		return;
	uint8_t message = *(const uint8_t *)bytes;
	if (message == SSL3_MT_CLIENT_HELLO)
		report(session, "client connects");
	else if (message == SSL3_MT_CERTIFICATE && is_write && session->own != NULL)
		report_presented(session, our_name(session), session->own);
	else if (message == SSL3_MT_CERTIFICATE && is_write)
		report(session, "%s has no certificate to present", our_name(session));
}

void trace_presented(struct tls_session *session, const struct span *chain, size_t num_chain)
{
	if (session->on_step == NULL)
		return;
	_cleanup_(svid_unrefp) struct svid *claimed = NULL;
	(void)(svid_parse(chain, num_chain, &claimed, NULL) == ERR_NONE);
	report_presented(session, peer_name(session), claimed);
}

void trace_verified(struct tls_session *session, enum err verdict)
{
	if (session->on_step == NULL)
		return;
	if (verdict == ERR_NONE)
		report(session, "%s verifies the %s's certificate", our_name(session), peer_name(session));
	else
		report(session, "%s refuses the %s's certificate: %s", our_name(session), peer_name(session),
			err_text(verdict));
}

void trace_established(struct tls_session *session)
{
	/* In TLS 1.3 a client is done before the server has verified it: only the server's first bytes show the result.
	 */
	if (session->on_step != NULL && !session->is_client)
		report(session, "server grants access");
}

static void see(struct tls_session *session, enum seen what)
{
	session->steps_seen |= (uint8_t)what;
	if (session->steps_seen == SEEN_BOTH) {
		session->steps_seen |= SEEN_REPORTED;
		report(session, "client and server exchange bytes, encrypted");
	}
}

void trace_received(struct tls_session *session)
{
	if (session->on_step == NULL)
		return;
	if (session->is_client && (session->steps_seen & SEEN_RECEIVED) == 0)
		report(session, "server grants access");
	see(session, SEEN_RECEIVED);
}

void trace_sent(struct tls_session *session)
{
	if (session->on_step != NULL)
		see(session, SEEN_SENT);
}

void tls_session_trace(struct tls_session *session, tls_step_fn *on_step, void *arg)
{
	session->on_step = on_step;
	session->step_arg = arg;
	SSL_set_msg_callback(session->ssl, on_step != NULL ? on_message : NULL);
	SSL_set_msg_callback_arg(session->ssl, session);
}
