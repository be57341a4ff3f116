/* Whether lines are an audit log: each continues the one before, and what is between them is stated (audit_cut.h). */
#pragma once

#include "control/audit/audit_cut.h"

struct audit_verify {
	struct audit_chain chain;
	struct buf cut;     /* since the last line of the chain: of lines that were cut, if the next one states them */
	uint64_t first;     /* the number of the first line */
	uint64_t num_lines; /* of the chain */
	uint64_t num_cut;   /* that lines of the chain state */
};

void audit_verify_init(struct audit_verify *verify);
void audit_verify_done(struct audit_verify *verify);
/* The next line, without its newline; those of several files, oldest first. The first one may have any number. Lines
 * before the first one of the chain are held for cut ones, which it states. ERR_STATE_DAMAGED: it was changed, lines
 * are missing, or something was inserted. */
enum err audit_verify_line(struct audit_verify *verify, struct span line, struct why *why) _must_use_;
