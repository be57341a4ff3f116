#include "base/tls/verify_bridge.h"
#include "base/core/check.h"
#include "base/tls/alert.h"
#include "base/tls/application_protocol.h"
#include "base/tls/handshake_trace.h"
#include <openssl/pool.h>

/* At most so many certificates are passed on; the verifier refuses longer chains by their length. */
enum { CHAIN_SEEN_MAX = SVID_CHAIN_MAX + 1 };

static size_t read_chain(const SSL *ssl, struct span chain[CHAIN_SEEN_MAX])
{
	const STACK_OF(CRYPTO_BUFFER) *certs = SSL_get0_peer_certificates(ssl);
	size_t num = sk_CRYPTO_BUFFER_num(certs);
	if (num > CHAIN_SEEN_MAX)
		num = CHAIN_SEEN_MAX;
	for (size_t i = 0; i < num; i++) {
		const CRYPTO_BUFFER *cert = sk_CRYPTO_BUFFER_value(certs, i);
		chain[i] = span_of(CRYPTO_BUFFER_data(cert), CRYPTO_BUFFER_len(cert));
	}
	return num;
}

static enum ssl_verify_result_t on_verify(SSL *ssl, uint8_t *out_alert)
{
	struct tls_session *session = session_of(ssl);
	if (session->is_client && !application_protocol_is_agreed(session)) {
		*out_alert = TLS_ALERT_no_application_protocol;
		return ssl_verify_invalid;
	}
	struct span chain[CHAIN_SEEN_MAX];
	size_t num = read_chain(ssl, chain);
	CHECK(num > 0); /* not called without a chain */
	trace_presented(session, chain, num);
	CHECK(session->peer == NULL); /* one verdict per session: TLS 1.3 has no renegotiation */
	struct why *why = session_why_slot(session);
	enum err err = session->on_verify(session->verify_arg, chain, num, &session->peer, why);
	trace_verified(session, err);
	if (err == ERR_NONE) {
		*why = (struct why){0};
		return ssl_verify_ok;
	}
	why->err = err;
	*out_alert = (uint8_t)alert_for_refusal(err);
	return ssl_verify_invalid;
}

void verify_bridge_set(SSL_CTX *ctx, int mode)
{
	SSL_CTX_set_custom_verify(ctx, mode, on_verify);
}
