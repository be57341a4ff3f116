/* SIGHUP: the settings are read again as a transaction.
 *
 * Query: the program reads the new settings as a whole, beside the ones in force.
 * Commit, settings_reload_commit(): what the table's rows allow at a reload is taken over, which cannot fail, and the
 * log names it; what needs a restart is named too, and keeps its value. Rollback, settings_reload_roll_back(): an error
 * anywhere leaves every setting as it was, and the log names the errors. */
#pragma once

#include "base/settings/setting_table.h"
#include "base/settings/settings_record.h"

/* Takes one part of the fresh settings over. Called once per reload, if anything of the part changed. */
typedef void settings_reload_apply_fn(void *program, void *fresh_config);

struct settings_reload {
	const struct setting_table *table;
	settings_reload_apply_fn *const *parts; /* by the rows' `reload`; that of RESTART is not called */
	unsigned num_parts;
	const char *component;
	void *program, *fresh_config; /* for the parts */
};

/* `*in_force` becomes what the program goes on with: rows that wait keep their old value, and carry the fresh one as
 * `next`. */
void settings_reload_commit(
	const struct settings_reload *options, struct settings_record **in_force, const struct settings_record *fresh);
void settings_reload_roll_back(const char *component, const char *errors); /* `errors`: a line each */
