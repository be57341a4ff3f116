/* The audit log: what was issued to whom, who banned, who rotated. Every line of the log component "audit" is also
 * appended to a file, chained (audit_chain.h), whatever the log's level is. */
#pragma once

#include "control/audit/audit_cut.h"

/* A file that has reached its size is renamed, and the chain goes on in a new one. */
struct audit_room {
	uint64_t file_bytes;
	bool keeps_all; /* else one of the older files: the collected log has the lines */
};
extern const struct audit_room audit_on_disk, audit_in_pod; /* a pod's state folder is memory, and has the keys too */

struct audit;

/* Opens or makes folder/audit.log (0600) and goes on after its last line, or, if it has none, after that of the older
 * file that goes furthest. A line that a crash or a full disk has cut stays, and the next line states it
 * (audit_cut.h). Events that could not be written leave a line that counts them. Where the chain is then,
 * "NUMBER:HASH", is in the program's own log at the beginning and end, and at each new file: it vouches for all lines
 * up to there, if that log is kept elsewhere. ERR_STATE_DAMAGED: behind its last whole line is what no crash leaves;
 * ERR_CONFLICT: another process has it; errors of the file system. */
enum err audit_open(const char *folder, const struct audit_room *room, struct audit **out, struct why *why) _must_use_;
void audit_close(struct audit *audit);
DEFINE_CLEANUP(struct audit *, audit_close)
