#include "base/tls/application_protocol.h"
#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/tls/alert.h"
#include <openssl/bytestring.h>

enum { ALPN_LIST_MAX = 512 };

static const char fix[] = "check that this is the port of a sidecar or a control plane";

static int refuse_overlap(SSL *ssl, struct span offered)
{
	size_t first = offered.len > 0 ? offered.ptr[0] : 0;
	(void)why_set(session_why_slot(session_of(ssl)), ERR_UNSUPPORTED,
		"a client with the expected application protocol (ALPN)", fix,
		"the client's ALPN list lacks it; its first entry is \"%.*s\"", first < offered.len ? (int)first : 0,
		offered.ptr + 1);
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
}

/* The name in the client's list, without its length byte; empty: not offered. BoringSSL checked the list's format. */
static struct span find_name(struct span offered, struct span name)
{
	while (offered.len > 0) {
		size_t len = offered.ptr[0] + (size_t)1;
		if (span_eq(span_of(offered.ptr + 1, len - 1), name))
			return span_of(offered.ptr + 1, len - 1);
		offered = span_from(offered, len);
	}
	return span_of(NULL, 0);
}

static int on_select(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len, void *arg)
{
	const struct tls_context *context = arg;
	struct span offered = span_of(in, in_len);
	struct span found = find_name(offered, span_of(context->alpn + 1, context->alpn_len - (size_t)1));
	if (found.len == 0 && context->alpn_else != NULL)
		found = find_name(offered, span_of_str(context->alpn_else));
	if (found.len == 0)
		return refuse_overlap(ssl, offered);
	*out = found.ptr;
	*out_len = (uint8_t)found.len;
	return SSL_TLSEXT_ERR_OK;
}

/* A hello that will be refused for its version gets that alert instead. */
static bool offers_tls13(const SSL_CLIENT_HELLO *hello)
{
	const uint8_t *ptr;
	size_t len;
	CBS extension, versions;
	uint16_t version;
	if (!SSL_early_callback_ctx_extension_get(hello, TLSEXT_TYPE_supported_versions, &ptr, &len))
		return false;
	CBS_init(&extension, ptr, len);
	if (!CBS_get_u8_length_prefixed(&extension, &versions))
		return false;
	while (CBS_get_u16(&versions, &version))
		if (version == TLS1_3_VERSION)
			return true;
	return false;
}

/* The selection callback is not called for a hello without the extension, so it is checked here. */
static enum ssl_select_cert_result_t on_hello(const SSL_CLIENT_HELLO *hello)
{
	const uint8_t *ptr;
	size_t len;
	if (SSL_early_callback_ctx_extension_get(
		    hello, TLSEXT_TYPE_application_layer_protocol_negotiation, &ptr, &len) ||
		!offers_tls13(hello))
		return ssl_select_cert_success;
	(void)why_set(session_why_slot(session_of(hello->ssl)), ERR_UNSUPPORTED,
		"a client with the expected application protocol (ALPN)", fix, "the client's hello has no ALPN");
	/* Only the first fatal alert is sent: it replaces BoringSSL's handshake_failure. */
	(void)SSL_send_fatal_alert(hello->ssl, TLS_ALERT_no_application_protocol);
	return ssl_select_cert_error;
}

void application_protocol_set(struct tls_context *context, const char *name)
{
	size_t len = strlen(name);
	CHECK(len > 0 && len < sizeof context->alpn);
	context->alpn[0] = (uint8_t)len;
	memcpy(context->alpn + 1, name, len);
	context->alpn_len = (uint8_t)(len + 1);
	if (context->role == TLS_CLIENT) {
		CHECK(SSL_CTX_set_alpn_protos(context->ctx, context->alpn, context->alpn_len) == 0);
	} else {
		SSL_CTX_set_alpn_select_cb(context->ctx, on_select, context);
		if (!context->alpn_is_optional)
			SSL_CTX_set_select_certificate_cb(context->ctx, on_hello);
	}
}

void application_protocol_add_sign(struct tls_session *session, const struct tls_context *context, const char *sign)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT(ALPN_LIST_MAX);
	size_t len = strlen(sign);
	const uint8_t prefix = (uint8_t)len;
	CHECK(session->is_client && len > 0 && len <= UINT8_MAX);
	CHECK(buf_append(&list, span_of(context->alpn, context->alpn_len)) == ERR_NONE);
	CHECK(buf_append(&list, span_of(&prefix, 1)) == ERR_NONE && buf_append(&list, span_of_str(sign)) == ERR_NONE);
	CHECK(SSL_set_alpn_protos(session->ssl, buf_span(&list).ptr, buf_len(&list)) == 0);
	session->alpn_sign = sign;
}

bool application_protocol_is_agreed(struct tls_session *session)
{
	const uint8_t *name;
	unsigned len;
	SSL_get0_alpn_selected(session->ssl, &name, &len);
	bool is_sign = session->alpn_sign != NULL && span_eq(span_of(name, len), span_of_str(session->alpn_sign));
	if ((len > 0 && !is_sign) || session->may_lack_protocol)
		return true; /* BoringSSL refuses a protocol that was not offered */
	(void)why_set(session_why_slot(session), ERR_UNSUPPORTED,
		"a server with the expected application protocol (ALPN)", fix,
		"the server selected no protocol by ALPN");
	return false;
}

bool tls_session_has_protocol(const struct tls_session *session, const char *name)
{
	const uint8_t *agreed;
	unsigned len;
	SSL_get0_alpn_selected(session->ssl, &agreed, &len);
	return span_eq(span_of(agreed, len), span_of_str(name));
}
