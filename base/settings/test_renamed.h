/* For tests of the programs' settings: each name of 0.1.0 is refused, and the error names the new one. */
#pragma once

#include "base/settings/settings.h"

struct test_renamed {
	const struct setting_table *table;
	const char *file;                            /* a name for the settings file */
	const char *required;                        /* YAML lines without which the program refuses its settings */
	enum err (*read)(struct settings *settings); /* the program's reader; it must fail, and keeps nothing */
};

/* Both fail the running cmocka test. */
void test_renamed_in_table(const struct test_renamed *program);
void test_renamed_in_file(const struct test_renamed *program);
