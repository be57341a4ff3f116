/* One private key in a token, by PKCS#11 (2.40): a session is opened and the PIN given when a signature is first
 * wanted, and again after the token was away. */
#pragma once

#include "base/core/buf.h"

struct token_options {        /* borrowed */
	const char *module;   /* the path of a shared library */
	const char *label;    /* of the token */
	const char *key;      /* the label of the private key in it */
	const char *pin_file; /* its first line is the user's PIN */
};

struct token;
/* Loads the module. ERR_CONFIG: it is none. */
enum err token_open(const struct token_options *options, struct token **out, struct why *why) _must_use_;
void token_free(struct token *token);
DEFINE_CLEANUP(struct token *, token_free)

/* ECDSA: over a digest, gives r and s; else RSA, PKCS#1 v1.5 over a DigestInfo. ERR_NOT_FOUND: no such token or key;
 * ERR_DENIED: the PIN is refused, and not given again before the file has another one (a token counts wrong ones);
 * ERR_UNAVAILABLE: the token reports another error. */
enum err token_sign(struct token *token, bool is_ecdsa, struct span input, struct buf *out, struct why *why) _must_use_;
