#include "base/settings/setting_nearest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static const struct setting_def rows[] = {
	{.key = "state_dir", .type = SETTING_TYPE_TEXT},
	{.key = "control.address", .type = SETTING_TYPE_TEXTS},
	{.key = "identity.token_file", .type = SETTING_TYPE_TEXT},
	{.key = "timeouts.connect", .type = SETTING_TYPE_DURATION},
	{.key = "timeouts.handshake", .type = SETTING_TYPE_DURATION},
	{.key = "listeners.inbound", .type = SETTING_TYPE_SECTIONS},
	{.key = "listeners.inbound[].mtls", .type = SETTING_TYPE_BOOL},
	{.key = "zone", .type = SETTING_TYPE_TEXT},
};
static const struct setting_table table = {.rows = rows, .num_rows = sizeof(rows) / sizeof(rows[0])};

static void assert_nearest(const char *name, bool may_be_section, const char *expected)
{
	char out[SETTING_NEAREST_MAX];
	const char *got = setting_nearest(&table, span_of_str(name), may_be_section, out);
	if (expected == NULL)
		assert_null(got);
	else
		assert_string_equal(got == NULL ? "nothing" : got, expected);
}

static void a_misspelled_key_and_a_misspelled_section_are_found(void **state)
{
	(void)state;
	assert_nearest("state_dirr", true, "state_dir");
	assert_nearest("statedir", true, "state_dir");
	assert_nearest("timouts", true, "timeouts");
	assert_nearest("timeouts.conect", true, "timeouts.connect");
	assert_nearest("timeouts.handshakes", true, "timeouts.handshake");
	assert_nearest("control.adress", true, "control.address");
	assert_nearest("listeners.inbound[12].mlts", true, "listeners.inbound[].mtls");
	assert_nearest("zome", true, "zone");
}

static void flags_and_variables_are_found_as_they_are_written(void **state)
{
	(void)state;
	assert_nearest("control-adress", false, "control.address");
	assert_nearest("TIMEOUTS_CONECT", false, "timeouts.connect");
	assert_nearest("listeners.inbound[].mtl", false, NULL); /* the file alone has it */
}

static void a_key_without_its_section_is_found(void **state)
{
	(void)state;
	assert_nearest("token_file", true, "identity.token_file");
	assert_nearest("token-file", false, "identity.token_file");
}

static void what_is_like_none_has_no_suggestion(void **state)
{
	(void)state;
	char longer[400];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_nearest("extra", true, NULL);
	assert_nearest("", true, NULL);
	assert_nearest("zo", true, NULL);
	assert_nearest("timeouts.keepalive", true, NULL);
	assert_nearest(longer, true, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_misspelled_key_and_a_misspelled_section_are_found),
		cmocka_unit_test(flags_and_variables_are_found_as_they_are_written),
		cmocka_unit_test(a_key_without_its_section_is_found),
		cmocka_unit_test(what_is_like_none_has_no_suggestion),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
