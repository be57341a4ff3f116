/* The signer's end of the socket to handfast-pkcs11 (control/pkcs11): a private key in a token. Waits for each
 * signature, TOKEN_WAIT_MS at most: one is wanted per intermediate. */
#pragma once

#include "certs/private_key.h"

struct token_link { /* zeroed: no token */
	int fd;     /* with a receive timeout; 0: none */
	uint64_t last_id;
	struct why trouble; /* why the last signature failed */
};

/* A key whose signatures the token makes; the link outlives it. certificate_der: its certificate. */
enum err token_link_key(
	struct token_link *link, struct span certificate_der, struct private_key **out, struct why *why) _must_use_;
