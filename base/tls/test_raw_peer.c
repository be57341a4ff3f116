#include "base/tls/test_raw_peer.h"
#include "base/core/check.h"
#include <openssl/aead.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>
#include <signal.h>
#include <sys/socket.h>

enum { TAG_LEN = 16, NONCE_LEN = 12, RECORD_MAX = 512 };

static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *out_alert)
{
	(void)ssl, (void)out_alert;
	return ssl_verify_ok;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct test_raw_peer *peer = SSL_get_app_data(ssl);
	SSL_SESSION_free(peer->ticket);
	peer->ticket = session;
	return 1;
}

/* "CLIENT_TRAFFIC_SECRET_0 <client random> <secret>", in hex. */
static void on_key_log(const SSL *ssl, const char *line)
{
	struct test_raw_peer *peer = SSL_get_app_data(ssl);
	const char *wanted = SSL_is_server(ssl) ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_TRAFFIC_SECRET_0 ";
	if (strncmp(line, wanted, strlen(wanted)) != 0)
		return;
	const char *hex = strrchr(line, ' ') + 1;
	peer->secret_len = strlen(hex) / 2;
	CHECK(peer->secret_len <= sizeof peer->secret);
	for (size_t i = 0; i < peer->secret_len; i++) {
		uint8_t high, low;
		CHECK(OPENSSL_fromxdigit(&high, hex[2 * i]) && OPENSSL_fromxdigit(&low, hex[2 * i + 1]));
		peer->secret[i] = (uint8_t)(high << 4 | low);
	}
}

static int select_h2(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len, void *arg)
{
	(void)ssl, (void)in, (void)in_len, (void)arg;
	*out = (const uint8_t *)"h2";
	*out_len = 2;
	return SSL_TLSEXT_ERR_OK;
}

void test_raw_peer_init(struct test_raw_peer *peer, const struct test_pair *pair, enum tls_role role, int fd)
{
	signal(SIGPIPE, SIG_IGN); /* BoringSSL uses write(2) */
	*peer = (struct test_raw_peer){.fd = fd};
	peer->ctx = SSL_CTX_new(TLS_with_buffers_method());
	CHECK(peer->ctx != NULL);
	SSL_CTX_set_custom_verify(peer->ctx, SSL_VERIFY_PEER, accept_any);
	SSL_CTX_set_keylog_callback(peer->ctx, on_key_log);
	SSL_CTX_set_session_cache_mode(peer->ctx, SSL_SESS_CACHE_BOTH);
	SSL_CTX_sess_set_new_cb(peer->ctx, keep_ticket);
	SSL_CTX_set_alpn_select_cb(peer->ctx, select_h2, NULL);
	CHECK(SSL_CTX_set_alpn_protos(peer->ctx, (const uint8_t *)"\2h2", 3) == 0);
	peer->ssl = SSL_new(peer->ctx);
	SSL_set_app_data(peer->ssl, peer);
	SSL_set_fd(peer->ssl, fd);
	test_raw_peer_set_identity(peer, role == TLS_CLIENT ? &pair->client_identity : &pair->server_identity);
	if (role == TLS_CLIENT)
		SSL_set_connect_state(peer->ssl);
	else
		SSL_set_accept_state(peer->ssl);
}

void test_raw_peer_set_identity(struct test_raw_peer *peer, const struct test_identity *identity)
{
	CRYPTO_BUFFER *leaf = svid_get0_buffer(identity->svid, 0);
	CHECK(SSL_set_chain_and_key(peer->ssl, &leaf, 1, private_key_get0_evp(identity->key), NULL));
}

void test_raw_peer_done(struct test_raw_peer *peer)
{
	SSL_SESSION_free(peer->ticket);
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->ctx);
}

enum io_result test_raw_peer_handshake(struct test_raw_peer *peer, struct tls_session *other)
{
	enum io_result result = IO_WANT_READ;
	for (int i = 0; i < 10; i++) {
		ERR_clear_error();
		(void)SSL_do_handshake(peer->ssl);
		result = tls_session_handshake(other);
	}
	return result;
}

int test_raw_peer_alert(struct test_raw_peer *peer)
{
	uint8_t bytes[256];
	int rc;
	do {
		ERR_clear_error();
		rc = SSL_in_init(peer->ssl) ? SSL_do_handshake(peer->ssl) : SSL_read(peer->ssl, bytes, sizeof bytes);
	} while (rc > 0);
	int reason = ERR_GET_REASON(ERR_peek_error());
	return reason >= SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : -1;
}

/* RFC 8446 7.1, with an empty context. */
static void expand_label(const struct test_raw_peer *peer, const char *label, uint8_t *out, size_t len)
{
	uint8_t text[64];
	size_t text_len;
	CBB cbb, child;
	CHECK(CBB_init_fixed(&cbb, text, sizeof text) && CBB_add_u16(&cbb, (uint16_t)len));
	CHECK(CBB_add_u8_length_prefixed(&cbb, &child) && CBB_add_bytes(&child, (const uint8_t *)"tls13 ", 6));
	CHECK(CBB_add_bytes(&child, (const uint8_t *)label, strlen(label)) && CBB_add_u8(&cbb, 0));
	CHECK(CBB_finish(&cbb, NULL, &text_len));
	CHECK(HKDF_expand(out, len, EVP_sha256(), peer->secret, peer->secret_len, text, text_len));
}

static const EVP_AEAD *aead_of(const struct test_raw_peer *peer)
{
	return SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(peer->ssl)) == NID_aes_128_gcm
		       ? EVP_aead_aes_128_gcm()
		       : EVP_aead_chacha20_poly1305();
}

void test_raw_peer_send_record(struct test_raw_peer *peer, uint8_t type, struct span plain)
{
	const EVP_AEAD *aead = aead_of(peer);
	uint8_t key[32], nonce[NONCE_LEN], inner[RECORD_MAX], record[5 + RECORD_MAX + TAG_LEN];
	CHECK(plain.len + 1 <= RECORD_MAX);
	expand_label(peer, "key", key, EVP_AEAD_key_length(aead));
	expand_label(peer, "iv", nonce, sizeof nonce);
	for (int i = 0; i < 8; i++)
		nonce[NONCE_LEN - 1 - i] ^= (uint8_t)(peer->sequence >> (8 * i));
	peer->sequence++;
	if (plain.len > 0)
		memcpy(inner, plain.ptr, plain.len);
	inner[plain.len] = type;
	size_t sealed_len = plain.len + 1 + TAG_LEN;
	const uint8_t header[5] = {23, 3, 3, (uint8_t)(sealed_len >> 8), (uint8_t)sealed_len};
	memcpy(record, header, sizeof header);
	EVP_AEAD_CTX *context = EVP_AEAD_CTX_new(aead, key, EVP_AEAD_key_length(aead), TAG_LEN);
	CHECK(EVP_AEAD_CTX_seal(context, record + 5, &sealed_len, sizeof record - 5, nonce, NONCE_LEN, inner,
		plain.len + 1, header, sizeof header));
	EVP_AEAD_CTX_free(context);
	CHECK(send(peer->fd, record, 5 + sealed_len, MSG_NOSIGNAL) == (ssize_t)(5 + sealed_len));
}
