/* What a check of a cluster found: rows, each of one thing, which is well, or wrong with the fix. */
#pragma once

#include "base/core/err.h"
#include <jansson.h>

struct findings {     /* begin with findings_init() */
	json_t *rows; /* {check, well, detail} or {check, well, got, expected, fix} */
	unsigned num_wrong;
};

void findings_init(struct findings *findings);
void findings_done(struct findings *findings);
void findings_well(struct findings *findings, const char *check, const char *format, ...) _printf_(3, 4);
void findings_wrong(struct findings *findings, const char *check, const struct why *why);
/* As JSON or text on stdout, under what was checked (`of`). */
void findings_print(const struct findings *findings, const char *of, bool as_json);
