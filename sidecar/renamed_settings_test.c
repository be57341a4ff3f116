/* The names of 0.1.0, each refused with the new one. */
#include "base/settings/test_renamed.h"
#include "sidecar/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static enum err read_settings(struct settings *settings)
{
	struct sidecar_config *config = NULL;
	return sidecar_config_read(settings, &config);
}

static const struct test_renamed program = {
	.table = &sidecar_settings,
	.file = "sidecar.yaml",
	.required = "control: {address: 192.0.2.1:15012}\n",
	.read = read_settings,
};

static void each_new_name_is_a_setting_and_no_old_one_is(void **state)
{
	(void)state;
	test_renamed_in_table(&program);
}

static void each_old_name_in_a_file_is_refused_with_the_new_one(void **state)
{
	(void)state;
	test_renamed_in_file(&program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_new_name_is_a_setting_and_no_old_one_is),
		cmocka_unit_test(each_old_name_in_a_file_is_refused_with_the_new_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
