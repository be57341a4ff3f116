#include "base/health/sidecar_health.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const char *text_of(bool is_ready, uint64_t conditions)
{
	static char text[SIDECAR_HEALTH_TEXT_MAX];
	return sidecar_health_text(
		&(struct sidecar_health){.is_reported = true, .is_ready = is_ready, .conditions = conditions}, text);
}

static void a_text_names_the_conditions(void **state)
{
	(void)state;
	assert_string_equal(text_of(true, 0), "");
	assert_string_equal(text_of(false, 0), "not ready");
	assert_string_equal(text_of(false, 1ULL << 9), "not ready: no_rules");
	assert_string_equal(text_of(true, 1ULL << 8 | 1ULL << 19), "degraded: claim_released + not_kept");
}

static void what_was_not_reported_is_not_bad(void **state)
{
	struct sidecar_health none = {.conditions = 2};
	char text[SIDECAR_HEALTH_TEXT_MAX];
	(void)state;
	assert_false(sidecar_health_is_bad(&none));
	assert_string_equal(sidecar_health_text(&none, text), "");
}

static void conditions_of_a_later_release_have_their_number(void **state)
{
	(void)state;
	assert_string_equal(text_of(true, 1ULL << 63 | 1), "degraded: condition_0 + condition_63");
	assert_true(strlen(text_of(false, UINT64_MAX)) < SIDECAR_HEALTH_TEXT_MAX - 1);
	assert_non_null(strstr(text_of(false, UINT64_MAX), "condition_63"));
}

static void two_are_equal_if_all_of_them_is(void **state)
{
	struct sidecar_health one = {true, true, 2}, other = one;
	(void)state;
	assert_true(sidecar_health_eq(&one, &other));
	other.conditions = 4;
	assert_false(sidecar_health_eq(&one, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_names_the_conditions),
		cmocka_unit_test(what_was_not_reported_is_not_bad),
		cmocka_unit_test(conditions_of_a_later_release_have_their_number),
		cmocka_unit_test(two_are_equal_if_all_of_them_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
