#include "base/h2/h2_limits.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static struct h2_limits defaults(void)
{
	return h2_limits_with_defaults(&(struct h2_limits){0});
}

static void zero_means_the_default_and_a_value_stays(void **state)
{
	(void)state;
	struct h2_limits limits = h2_limits_with_defaults(&(struct h2_limits){.max_streams = 4096});
	assert_int_equal(limits.max_streams, 4096);
	assert_int_equal(limits.header_bytes, 16 * 1024);
	assert_int_equal(limits.frame_bytes, 128 * 1024);
}

static void C6_rapid_reset_ends_after_the_free_resets(void **state)
{
	(void)state;
	struct h2_limits limits = defaults();
	struct h2_limits_count count = {0};
	struct why why = {0};
	for (int i = 0; i < 1000; i++)
		assert_int_equal(h2_limits_reset(&count, &limits, &why), ERR_NONE);
	assert_int_equal(h2_limits_reset(&count, &limits, &why), ERR_LIMIT);
	assert_int_equal(why.err, ERR_LIMIT);
}

static void six_thousand_served_streams_may_be_reset(void **state)
{
	(void)state;
	struct h2_limits limits = defaults();
	struct h2_limits_count count = {0};
	for (int i = 0; i < 6000; i++)
		h2_limits_served(&count);
	for (int i = 0; i < 6000; i++)
		assert_int_equal(h2_limits_reset(&count, &limits, NULL), ERR_NONE);
}

static void resets_are_allowed_in_proportion_to_served_streams(void **state)
{
	(void)state;
	struct h2_limits limits =
		h2_limits_with_defaults(&(struct h2_limits){.resets_free = 10, .resets_per_100_served = 50});
	struct h2_limits_count count = {0};
	for (int i = 0; i < 150; i++)
		h2_limits_served(&count);
	for (int i = 0; i < 10 + 75; i++)
		assert_int_equal(h2_limits_reset(&count, &limits, NULL), ERR_NONE);
	assert_int_equal(h2_limits_reset(&count, &limits, NULL), ERR_LIMIT);
}

static void T9_a_flood_of_empty_frames_ends(void **state)
{
	(void)state;
	struct h2_limits limits = defaults();
	struct h2_limits_count count = {0};
	for (int i = 0; i < 10000; i++)
		assert_int_equal(h2_limits_idle_frame(&count, &limits, H2_IDLE_EMPTY_DATA, NULL), ERR_NONE);
	assert_int_equal(h2_limits_idle_frame(&count, &limits, H2_IDLE_EMPTY_DATA, NULL), ERR_LIMIT);
}

static void payload_between_empty_frames_resets_the_count(void **state)
{
	(void)state;
	struct h2_limits limits = defaults();
	struct h2_limits_count count = {0};
	for (int i = 0; i < 100000; i++) {
		assert_int_equal(h2_limits_idle_frame(&count, &limits, H2_IDLE_WINDOW_UPDATE, NULL), ERR_NONE);
		if (i % 100 == 0)
			h2_limits_useful(&count);
	}
}

static void settings_weigh_more_than_empty_data(void **state)
{
	(void)state;
	struct h2_limits limits = defaults();
	struct h2_limits_count count = {0};
	int accepted = 0;
	while (h2_limits_idle_frame(&count, &limits, H2_IDLE_SETTINGS, NULL) == ERR_NONE)
		accepted++;
	assert_in_range(accepted, 100, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_means_the_default_and_a_value_stays),
		cmocka_unit_test(C6_rapid_reset_ends_after_the_free_resets),
		cmocka_unit_test(six_thousand_served_streams_may_be_reset),
		cmocka_unit_test(resets_are_allowed_in_proportion_to_served_streams),
		cmocka_unit_test(T9_a_flood_of_empty_frames_ends),
		cmocka_unit_test(payload_between_empty_frames_resets_the_count),
		cmocka_unit_test(settings_weigh_more_than_empty_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
