/* What `handfast settings` is answered: the values in force, also those that the control plane computes. */
#include "control/serve/operator_settings.h"
#include "proto/handfast/v1/operator.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_value(const char *given, const char *value, const char *origin)
{
	_cleanup_(settings_record_freep) struct settings_record *record = settings_record_new();
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	const struct setting_row row = {(char *)(uintptr_t) "limits.max_connections", (char *)(uintptr_t)given,
		(char *)(uintptr_t) "default", .from = SETTING_FROM_DEFAULT};
	settings_record_add(record, &row);
	assert_int_equal(operator_settings_encode(record, 9872, &out), ERR_NONE);
	Handfast__V1__SettingsResponse *answer =
		handfast__v1__settings_response__unpack(NULL, buf_len(&out), buf_span(&out).ptr);
	assert_non_null(answer);
	assert_int_equal(answer->n_settings, 1);
	const ProtobufCBinaryData shown = answer->settings[0]->value, from = answer->settings[0]->origin;
	assert_int_equal(shown.len, strlen(value));
	assert_memory_equal(shown.data, value, shown.len);
	assert_int_equal(from.len, strlen(origin));
	assert_memory_equal(from.data, origin, from.len);
	handfast__v1__settings_response__free_unpacked(answer, NULL);
}

static void a_limit_that_is_computed_is_shown_as_a_number(void **state)
{
	(void)state;
	assert_value("automatic", "9872", "the limit of descriptors (RLIMIT_NOFILE)");
	assert_value("500", "500", "default");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_that_is_computed_is_shown_as_a_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
