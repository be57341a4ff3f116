/* Lines of the audit log that a crash or a full disk has cut. The file keeps what is there of them, each with a newline
 * behind it, and the next line of the chain states it: its event is "cut lines: N bytes with the SHA-256 HEX, ...", of
 * all bytes between it and the line before it in the chain. So none can insert a line that looks as if it were cut.
 * Only what is behind the last line of a log is stated by none. Pure. */
#pragma once

#include "control/audit/audit_chain.h"

#define AUDIT_CUT_MAX 65536 /* bytes between two lines of the chain; more is no crash's doing */

/* May the line, without a newline, be what was left of the one that would continue the chain? Strict: each byte is as
 * in such a line, and at least its last one is missing. Zeros may follow, which a loss of power can leave. */
bool audit_cut_is(const struct audit_chain *chain, struct span line);
/* Adds a cut line, and its newline, to those before it. ERR_LIMIT: out's maximum. */
enum err audit_cut_add(struct buf *out, struct span line) _must_use_;
/* Appends the line of the chain that states the cut ones; as audit_chain_add(). */
enum err audit_cut_state(struct audit_chain *chain, int64_t wall_ms, struct span cut, struct buf *out) _must_use_;
bool audit_cut_is_statement(struct span line);               /* of a line of the chain: does it state cut ones? */
bool audit_cut_is_stated(struct span line, struct span cut); /* does it state exactly these? */
