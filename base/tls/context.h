/* The context struct. Private to base/tls. */
#pragma once

#include "base/tls/tls_context.h"
#include <openssl/ssl.h>

struct tls_context {
	SSL_CTX *ctx;
	BIO_METHOD *socket_bio;
	enum tls_role role;
	uint16_t best_group;    /* of the key exchange (RFC 8446 4.2.7) */
	bool is_peer_anonymous; /* a server that requests no certificate */
	uint8_t alpn_len;       /* of `alpn`: one length byte and the name, in wire format (RFC 7301 3.1) */
	uint8_t alpn[256];
	const char *alpn_else; /* a server's second protocol; NULL: none */
	bool alpn_is_optional;
};
