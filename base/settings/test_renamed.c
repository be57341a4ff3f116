#include "base/settings/test_renamed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

void test_renamed_in_table(const struct test_renamed *program)
{
	for (const struct setting_renamed *row = program->table->renamed; row->old_key != NULL; row++) {
		assert_true(setting_table_find(program->table, row->new_key) != NULL);
		assert_false(setting_table_find(program->table, row->old_key) != NULL);
	}
}

void test_renamed_in_file(const struct test_renamed *program)
{
	for (const struct setting_renamed *row = program->table->renamed; row->old_key != NULL; row++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(program->table);
		char yaml[256];
		snprintf(yaml, sizeof(yaml), "%s%.*s: {%s: 1s}\n", program->required, (int)strcspn(row->old_key, "."),
			row->old_key, strchr(row->old_key, '.') + 1);
		settings_read_text(settings, program->file, span_of_str(yaml));
		assert_int_equal(program->read(settings), ERR_CONFIG);
		assert_non_null(strstr(settings_errors(settings), row->new_key));
		assert_non_null(strstr(settings_errors(settings), "its name in 0.1.0"));
	}
}
