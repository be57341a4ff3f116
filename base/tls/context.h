/* The inside of a context, for the files of this folder only. */
#pragma once

#include "base/tls/tls_context.h"
#include <openssl/ssl.h>

struct tls_context {
	SSL_CTX *ctx;
	BIO_METHOD *socket_bio;
	enum tls_role role;
	uint8_t alpn_len; /* of the next: one length byte and the name, as on the wire (RFC 7301 3.1) */
	uint8_t alpn[256];
};
