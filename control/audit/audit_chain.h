/* The lines of the audit log, each chained to the one before, so that a line that is changed, removed or inserted is
 * found. Pure.
 *
 * A line is {"number":N,"time":"RFC 3339","event":"...","previous":"HEX","hash":"HEX"}: `previous` is the hash of the
 * line before, zeros in the first one; `hash` is the SHA-256 of the line's bytes up to the comma before "hash". */
#pragma once

#include "base/core/buf.h"
#include "certs/digest.h"

#define AUDIT_LINE_MAX 4096 /* bytes, with the newline */

struct audit_chain { /* zeroed: before the first line */
	uint64_t number;
	uint8_t hash[DIGEST_LEN]; /* of the last line */
};

/* Appends the next line and its newline. event: cut to fit; control characters are escaped. */
enum err audit_chain_add(struct audit_chain *chain, int64_t wall_ms, const char *event, struct buf *out) _must_use_;
/* Checks one line, without its newline, as the next one of the chain. may_begin: the chain may begin with any line, as
 * in a file that continues an older one. ERR_STATE_DAMAGED with the reason: the chain is as before. */
enum err audit_chain_check(struct audit_chain *chain, struct span line, bool may_begin, struct why *why) _must_use_;
