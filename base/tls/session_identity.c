#include "base/tls/session_identity.h"
#include "base/core/check.h"
#include <openssl/err.h>
#include <openssl/pool.h>

enum { EXTRA_CHAIN_MAX = 4 };

static enum err refuse_pair(struct why *why, const char *fix)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	enum err err = why_set(why, ERR_KEY_MISMATCH, "a key that matches the certificate", fix,
		"the key and the certificate do not match: %s", reason != NULL ? reason : "unknown reason");
	ERR_clear_error();
	return err;
}

static enum err set_web_identity(struct tls_session *session, const struct web_identity *identity, struct why *why)
{
	CRYPTO_BUFFER *chain[WEB_IDENTITY_CHAIN_MAX];
	size_t num_chain = web_identity_num_chain(identity);
	for (size_t i = 0; i < num_chain; i++)
		chain[i] = web_identity_get0_buffer(identity, i);
	ERR_clear_error();
	if (!SSL_set_chain_and_key(session->ssl, chain, num_chain, web_identity_get0_evp(identity), NULL))
		return refuse_pair(why, "make a certificate for this key whose keyUsage has digitalSignature");
	return ERR_NONE;
}

enum err session_identity_set(struct tls_session *session, const struct tls_session_options *options, struct why *why)
{
	if (options->web_identity != NULL)
		return set_web_identity(session, options->web_identity, why);
	if (options->svid == NULL || options->key == NULL) {
		if (session->is_client)
			return ERR_NONE;
		return why_set(why, ERR_NO_CERTIFICATE, "an identity for this server",
			"wait until this side has an identity", "this side has no identity");
	}
	CRYPTO_BUFFER *chain[SVID_CHAIN_MAX + EXTRA_CHAIN_MAX];
	size_t num_own = svid_num_chain(options->svid);
	size_t num_extra = options->num_extra_chain;
	CHECK(num_own <= SVID_CHAIN_MAX && num_extra <= EXTRA_CHAIN_MAX);
	for (size_t i = 0; i < num_own; i++)
		chain[i] = svid_get0_buffer(options->svid, i);
	for (size_t i = 0; i < num_extra; i++) {
		struct span der = options->extra_chain[i];
		chain[num_own + i] = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
		CHECK(chain[num_own + i] != NULL);
	}
	ERR_clear_error();
	int ok = SSL_set_chain_and_key(
		session->ssl, chain, num_own + num_extra, private_key_get0_evp(options->key), NULL);
	for (size_t i = 0; i < num_extra; i++)
		CRYPTO_BUFFER_free(chain[num_own + i]);
	if (!ok)
		return refuse_pair(why, "restart the sidecar, which requests a new identity");
	session->own = svid_ref(options->svid);
	return ERR_NONE;
}

struct svid *tls_session_peer(const struct tls_session *session)
{
	/* The verifier runs before the peer's signature is checked: the peer is known only after the handshake. */
	return session->is_established ? session->peer : NULL;
}

const struct why *tls_session_why(const struct tls_session *session)
{
	static const struct why nothing;
	return session->detail != NULL ? session->detail : &nothing;
}

bool tls_session_failed_by_peer(const struct tls_session *session)
{
	return session->has_failed_by_peer;
}

int tls_session_alert(const struct tls_session *session)
{
	return session->alert;
}

enum err tls_session_export(struct tls_session *session, const char *label, struct span context, uint8_t out[32])
{
	CHECK(session->is_established);
	if (!SSL_export_keying_material(session->ssl, out, 32, label, strlen(label), context.ptr, context.len, 1)) {
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	return ERR_NONE;
}

const char *tls_session_cipher(const struct tls_session *session)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(session->ssl);
	return cipher != NULL ? SSL_CIPHER_standard_name(cipher) : "none";
}

enum key_exchange tls_session_key_exchange(const struct tls_session *session)
{
	return key_exchange_by_group_id(SSL_get_group_id(session->ssl));
}
