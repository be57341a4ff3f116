/* The join token: one line of a file, `hf1.<id>.<secret>.<SHA-256 of the bootstrap root's DER>`, the three parts in
 * base64url. It is a secret: only from a file that others cannot read, never logged, wiped after use. */
#pragma once

#include "base/core/buf.h"
#include "certs/digest.h"

#define TOKEN_PART_MAX 128 /* decoded bytes of the id and of the secret */

struct token { /* zeroed is valid to token_done() */
	struct buf id, secret;
	uint8_t bootstrap_root_sha256[DIGEST_LEN];
};

enum err token_parse(struct span line, struct token *out, struct why *why) _must_use_; /* one line end is allowed */
/* ERR_DENIED: other users may read the file, or it is not a regular file. ERR_NOT_FOUND, ERR_SYSTEM. */
enum err token_read(const char *path, struct token *out, struct why *why) _must_use_;
void token_done(struct token *token); /* wipes */
