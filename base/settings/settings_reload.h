/* What a reload takes over: one table per program, from which both the work and the sentence about it come. */
#pragma once

#include "base/settings/settings_record.h"

/* A key ("drain_deadline"), or a section with all below it ("inbound"). What no row names needs a restart. */
struct setting_live {
	const char *key;
	/* Takes the fresh value over. Once per reload, if anything of the section changed; rows of one function are
	 * called once together. */
	void (*apply)(void *program, void *fresh_config);
};

/* Compares, applies, and logs as `component` which keys are in force now and which wait for a restart. `*in_force`
 * becomes what the program goes on with: rows that wait keep their old value, and carry the fresh one as `next`. */
struct settings_reload {
	const struct setting_live *live; /* ends with a row without key */
	const char *component;
	void *program, *fresh_config; /* for apply() */
};
void settings_reload_run(
	const struct settings_reload *options, struct settings_record **in_force, const struct settings_record *fresh);
