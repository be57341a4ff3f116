#include "base/tls/tls_context.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/tls/application_protocol.h"
#include "base/tls/context.h"
#include "base/tls/session_failure.h"
#include "base/tls/socket_bio.h"
#include "base/tls/verify_bridge.h"
#include "certs/cert.h"
#include <openssl/err.h>

/* A chain of four certificates is about 4 KiB; BoringSSL's limit of 100 KB would let any client fill memory. */
enum { CERTIFICATE_MESSAGE_MAX = 16 * 1024 };

/* The allowed signature algorithms of peers. RSA only as PSS: TLS 1.3 forbids PKCS#1 v1.5 (RFC 8446 4.2.3). */
static const uint16_t signature_schemes[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ED25519,
	SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384,
	SSL_SIGN_RSA_PSS_RSAE_SHA512};

/* A client sends a key share for the best group and, unless it knows its server (one_key_share), for the best of the
 * other kind (post-quantum or not); a peer that has neither costs one more round trip (HelloRetryRequest, RFC 8446
 * 4.1.4). A server chooses by its own order: a
 * client that knows a post-quantum group gets it, whatever it prefers. */
static void set_groups(struct tls_context *context, const struct key_exchange_list *wanted)
{
	struct key_exchange_list list = wanted->num > 0 ? *wanted : key_exchange_profile_list(KEY_EXCHANGE_DEFAULT);
	uint16_t ids[NUM_KEY_EXCHANGES];
	CHECK(list.num > 0);
	for (unsigned i = 0; i < list.num; i++)
		ids[i] = key_exchange_group_id(list.items[i]);
	CHECK(SSL_CTX_set1_group_ids(context->ctx, ids, list.num));
	context->best_group = ids[0];
	SSL_CTX_set_options(context->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
}

static void set_parameters(SSL_CTX *ctx)
{
	CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION));
	CHECK(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION));
	/* BoringSSL selects AES-128-GCM or ChaCha20 by the CPUs of both sides; there is nothing to configure in
	 * TLS 1.3. */
	CHECK(SSL_CTX_set_verify_algorithm_prefs(
		ctx, signature_schemes, sizeof signature_schemes / sizeof signature_schemes[0]));
	SSL_CTX_set_max_cert_list(ctx, CERTIFICATE_MESSAGE_MAX);
	SSL_CTX_set_grease_enabled(ctx, 1); /* keeps servers tolerant to new values (RFC 8701) */
}

/* A resumed session would skip the verifier and so accept a revoked peer (abuse cases D26, D27, D28). */
static void forbid_resumption(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_early_data_enabled(ctx, 0);
}

static int verify_mode(const struct tls_context_options *options)
{
	if (options->role == TLS_CLIENT)
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	switch (options->client_auth) {
	case TLS_CLIENT_AUTH_REQUIRED:
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	case TLS_CLIENT_AUTH_OPTIONAL:
		return SSL_VERIFY_PEER;
	case TLS_CLIENT_AUTH_NONE:
		return SSL_VERIFY_NONE;
	}
	CHECK_UNREACHABLE();
}

struct tls_context *tls_context_new(const struct tls_context_options *options)
{
	struct tls_context *context = mem_new(struct tls_context);
	context->role = options->role;
	context->is_peer_anonymous = options->role == TLS_SERVER && options->client_auth == TLS_CLIENT_AUTH_NONE;
	context->ctx = SSL_CTX_new(TLS_with_buffers_method());
	CHECK(context->ctx != NULL);
	context->socket_bio = socket_bio_method_new();
	/* The bytes of a certificate are stored once per process, for all sessions. */
	SSL_CTX_set0_buffer_pool(context->ctx, cert_pool());
	SSL_CTX_set_retain_only_sha256_of_client_certs(context->ctx, 1);
	set_parameters(context->ctx);
	set_groups(context, &options->key_exchanges);
	forbid_resumption(context->ctx);
	context->alpn_is_optional = options->alpn_is_optional;
	CHECK(options->alpn != NULL || options->role == TLS_SERVER);
	if (options->alpn != NULL)
		application_protocol_set(context, options->alpn);
	CHECK(options->alpn_else == NULL || options->role == TLS_SERVER);
	context->alpn_else = options->alpn_else;
	verify_bridge_set(context->ctx, verify_mode(options));
	session_failure_watch_alerts(context->ctx);
	return context;
}

void tls_context_free(struct tls_context *context)
{
	if (context == NULL)
		return;
	SSL_CTX_free(context->ctx);
	BIO_meth_free(context->socket_bio);
	mem_free(context);
}

#define TEXT_OF_(value) #value
#define TEXT_OF(value)  TEXT_OF_(value)

const char *tls_library_version(void)
{
	return "API " TEXT_OF(BORINGSSL_API_VERSION);
}
