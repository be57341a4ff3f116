#include "control/serve/cut_off.h"
#include "control/store/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define NOW_MS 100000

static struct share_key key_of(const char *name)
{
	return share_key_of_bytes(span_of_str(name));
}

/* So many seconds in which the store does not answer. */
static uint64_t pass_silent(struct cut_off *cut_off, uint64_t now_ms, unsigned seconds)
{
	for (unsigned i = 1; i <= seconds; i++)
		(void)cut_off_poll(cut_off, i * 1000, now_ms + i * 1000);
	return now_ms + seconds * 1000;
}

static void begins_after_ten_seconds_and_ends_once_the_store_answers_steadily(void **state)
{
	struct cut_off cut_off;
	(void)state;
	cut_off_init(&cut_off, 10);
	assert_int_equal(cut_off_poll(&cut_off, 0, NOW_MS), CUT_OFF_SAME);
	uint64_t now_ms = pass_silent(&cut_off, NOW_MS, 9);
	assert_false(cut_off.is_cut_off);
	assert_int_equal(cut_off_poll(&cut_off, 10000, now_ms + 1000), CUT_OFF_BEGAN);
	assert_int_equal(cut_off_poll(&cut_off, 100, now_ms + 2000), CUT_OFF_SAME);
	assert_int_equal(cut_off_poll(&cut_off, 2500, now_ms + 3000), CUT_OFF_SAME); /* away again */
	assert_int_equal(cut_off_poll(&cut_off, 100, now_ms + 4000), CUT_OFF_SAME);
	assert_int_equal(cut_off_poll(&cut_off, 100, now_ms + 5000), CUT_OFF_SAME);
	assert_int_equal(cut_off_poll(&cut_off, 100, now_ms + 6000), CUT_OFF_ENDED);
	assert_false(cut_off.is_cut_off);
	cut_off_done(&cut_off);
}

static void a_process_that_was_stopped_begins_anew(void **state)
{
	struct cut_off cut_off;
	(void)state;
	cut_off_init(&cut_off, 10);
	assert_int_equal(cut_off_poll(&cut_off, 0, NOW_MS), CUT_OFF_SAME);
	assert_int_equal(cut_off_poll(&cut_off, 3600000, NOW_MS + 3600000), CUT_OFF_SAME);
	assert_int_equal(cut_off_poll(&cut_off, 300, NOW_MS + 3601000), CUT_OFF_SAME);
	assert_false(cut_off.is_cut_off);
	cut_off_done(&cut_off);
}

static void sends_each_sidecar_away_once_and_takes_it_when_it_is_back(void **state)
{
	struct cut_off cut_off;
	struct share_key one = key_of("one"), two = key_of("two");
	(void)state;
	cut_off_init(&cut_off, 10);
	assert_false(cut_off_sends_away(&cut_off, &one, NOW_MS)); /* not cut off */
	(void)cut_off_poll(&cut_off, 0, NOW_MS);
	uint64_t now_ms = pass_silent(&cut_off, NOW_MS, 10);
	assert_true(cut_off_sends_away(&cut_off, &one, now_ms));
	assert_false(cut_off_sends_away(&cut_off, &one, now_ms + 1000));
	assert_true(cut_off_sends_away(&cut_off, &two, now_ms + 1000));
	assert_false(cut_off_sends_away(&cut_off, &one, now_ms + CUT_OFF_AGAIN_MS - 1));
	assert_true(cut_off_sends_away(&cut_off, &one, now_ms + CUT_OFF_AGAIN_MS)); /* another may answer by now */
	assert_false(cut_off_sends_away(&cut_off, &two, now_ms + CUT_OFF_AGAIN_MS));
	cut_off_done(&cut_off);
}

/* A store that comes and goes must not move every sidecar each time. */
static void remembers_a_sidecar_beyond_the_end_of_an_episode(void **state)
{
	struct cut_off cut_off;
	struct share_key one = key_of("one");
	(void)state;
	cut_off_init(&cut_off, 10);
	(void)cut_off_poll(&cut_off, 0, NOW_MS);
	uint64_t now_ms = pass_silent(&cut_off, NOW_MS, 10);
	assert_true(cut_off_sends_away(&cut_off, &one, now_ms));
	for (unsigned i = 1; i <= 4; i++)
		(void)cut_off_poll(&cut_off, 100, now_ms + i * 1000);
	assert_false(cut_off.is_cut_off);
	now_ms = pass_silent(&cut_off, now_ms + 4000, 10);
	assert_true(cut_off.is_cut_off);
	assert_false(cut_off_sends_away(&cut_off, &one, now_ms));
	cut_off_done(&cut_off);
}

static void takes_more_sidecars_than_it_can_remember(void **state)
{
	struct cut_off cut_off;
	struct share_key one = key_of("one"), two = key_of("two");
	(void)state;
	cut_off_init(&cut_off, 1);
	(void)cut_off_poll(&cut_off, 0, NOW_MS);
	uint64_t now_ms = pass_silent(&cut_off, NOW_MS, 10);
	assert_true(cut_off_sends_away(&cut_off, &one, now_ms));
	assert_false(cut_off_sends_away(&cut_off, &two, now_ms));
	assert_int_equal(cut_off.num_visits, 1);
	assert_true(cut_off_sends_away(&cut_off, &two, now_ms + CUT_OFF_AGAIN_MS));
	assert_int_equal(cut_off.num_visits, 1);
	cut_off_done(&cut_off);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_after_ten_seconds_and_ends_once_the_store_answers_steadily),
		cmocka_unit_test(a_process_that_was_stopped_begins_anew),
		cmocka_unit_test(sends_each_sidecar_away_once_and_takes_it_when_it_is_back),
		cmocka_unit_test(remembers_a_sidecar_beyond_the_end_of_an_episode),
		cmocka_unit_test(takes_more_sidecars_than_it_can_remember),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
