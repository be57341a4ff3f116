/* What handfast-init found out, point by point, for a person or as JSON. */
#pragma once

#include "base/core/buf.h"

enum finding_state {
	FINDING_OK,
	FINDING_FAILED,
	FINDING_UNPROVEN, /* could not be looked at: neither good nor bad */
	FINDING_NOTE,     /* worth a word, changes nothing */
};

struct finding {
	const char *point; /* snake_case, a literal */
	enum finding_state state;
	char text[512];
};

#define REPORT_FINDINGS_MAX 16

struct report {
	struct finding findings[REPORT_FINDINGS_MAX];
	unsigned num;
};

void report_add(struct report *report, enum finding_state state, const char *point, const char *format, ...)
	_printf_(4, 5);
/* A failure: the why as one line. */
void report_add_why(struct report *report, const char *point, const struct why *why);

bool report_has(const struct report *report, enum finding_state state);

/* One line a finding, or one JSON object with "command", "ok" and "findings". */
enum err report_render(const struct report *report, const char *command, bool json, struct buf *out) _must_use_;
/* What --dry-run promises: the commands for nft and a sentence about lo; or one JSON object with "command", "dry_run",
 * "nft" and "lo". */
enum err report_render_plan(
	const char *command, struct span nft, const char *lo, bool json, struct buf *out) _must_use_;
