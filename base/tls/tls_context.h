/* A TLS context per role and purpose, for the whole process: TLS 1.3 only, no tickets, no resumption, no early data, no
 * renegotiation. Chain and key are set per session, so no context references an old private key. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include "base/tls/key_exchange.h"
#include <stdbool.h>

enum tls_role { TLS_CLIENT, TLS_SERVER };

enum tls_client_auth {
	TLS_CLIENT_AUTH_REQUIRED, /* a server that requires a certificate */
	TLS_CLIENT_AUTH_OPTIONAL, /* requests one; none is accepted, a bad one fails the handshake (the control plane's
				     port) */
	TLS_CLIENT_AUTH_NONE,     /* requests none: a webhook, whose caller has no certificate */
};

struct tls_context_options {
	enum tls_role role;
	enum tls_client_auth client_auth; /* servers */
	/* The only protocol, "h2"; without it the handshake fails (RFC 7301 3.2). NULL, of a server: none is agreed on,
	 * whatever clients offer, for bytes that are not interpreted here. */
	const char *alpn;
	const char *alpn_else; /* a server: accepted from a client that does not offer `alpn`; a literal; NULL: none */
	/* A peer that knows no ALPN is accepted: for HTTP/1.1 with programs of others (a SPIFFE bundle endpoint), on a
	 * port or a connection that speaks nothing else. */
	bool alpn_is_optional;
	struct key_exchange_list key_exchanges; /* offered and accepted, best first */
};

struct tls_context;
struct tls_context *tls_context_new(const struct tls_context_options *options);
void tls_context_free(struct tls_context *context); /* after its last session */
DEFINE_CLEANUP(struct tls_context *, tls_context_free)
const char *tls_library_version(void); /* of BoringSSL, which has no other number: "API 44" */
