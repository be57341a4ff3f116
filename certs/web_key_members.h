/* The public key of a certificate as the members of a JSON web key (RFC 7518 6.2, 6.3; RFC 8037 2). Pure. */
#pragma once

#include "base/core/buf.h"

#define WEB_KEY_MEMBER_MAX 1024 /* bytes of a number: RSA keys of 8,192 bits */

struct web_key_members {          /* zeroed is valid to web_key_members_done() */
	const char *kty;          /* "EC", "RSA", "OKP" */
	const char *crv;          /* "P-256", "P-384", "Ed25519"; NULL: RSA */
	struct buf first, second; /* EC: x and y; RSA: n and e; OKP: x, and nothing */
};

/* ERR_MALFORMED: no certificate; ERR_WEAK_KEY: another kind of key. */
enum err web_key_members_of(struct span certificate_der, struct web_key_members *out, struct why *why) _must_use_;
void web_key_members_done(struct web_key_members *members);
