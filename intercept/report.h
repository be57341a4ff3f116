/* The findings of handfast-init, as text or as JSON. */
#pragma once

#include "base/core/buf.h"

enum finding_state {
	FINDING_OK,
	FINDING_FAILED,
	FINDING_UNPROVEN, /* could not be checked */
	FINDING_NOTE,     /* information only */
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
/* A failed check with *why as one line. */
void report_add_why(struct report *report, const char *point, const struct why *why);

bool report_has(const struct report *report, enum finding_state state);

/* One line per finding, or one JSON object with "command", "ok" and "findings". */
enum err report_render(const struct report *report, const char *command, bool json, struct buf *out) _must_use_;
/* The output of --dry-run: the commands for nft and a line about lo; or one JSON object with "command", "dry_run",
 * "nft" and "lo". */
enum err report_render_plan(
	const char *command, struct span nft, const char *lo, bool json, struct buf *out) _must_use_;
