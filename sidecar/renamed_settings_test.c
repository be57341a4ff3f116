/* The names of 0.1.0, each refused with the new one. */
#include "sidecar/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void each_new_name_is_a_setting_and_no_old_one_is(void **state)
{
	(void)state;
	for (const struct setting_renamed *row = sidecar_settings.renamed; row->old_key != NULL; row++) {
		assert_true(setting_table_find(&sidecar_settings, row->new_key) != NULL);
		assert_false(setting_table_find(&sidecar_settings, row->old_key) != NULL);
	}
}

static void each_old_name_in_a_file_is_refused_with_the_new_one(void **state)
{
	(void)state;
	for (const struct setting_renamed *row = sidecar_settings.renamed; row->old_key != NULL; row++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		struct sidecar_config *config = NULL;
		char yaml[256];
		snprintf(yaml, sizeof(yaml), "control: {address: 192.0.2.1:15012}\n%.*s: {%s: 1s}\n",
			(int)strcspn(row->old_key, "."), row->old_key, strchr(row->old_key, '.') + 1);
		settings_read_text(settings, "sidecar.yaml", span_of_str(yaml));
		assert_int_equal(sidecar_config_read(settings, &config), ERR_CONFIG);
		assert_non_null(strstr(settings_errors(settings), row->new_key));
		assert_non_null(strstr(settings_errors(settings), "its name in 0.1.0"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_new_name_is_a_setting_and_no_old_one_is),
		cmocka_unit_test(each_old_name_in_a_file_is_refused_with_the_new_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
