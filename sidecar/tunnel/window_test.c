#include "sidecar/tunnel/window.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

static int setup(void **state)
{
	*state = flow_control_memory_new(8 * MIB);
	return 0;
}

static int teardown(void **state)
{
	flow_control_memory_free(*state);
	return 0;
}

static void starts_with_32_kib_that_cost_nothing(void **state)
{
	struct window window;
	window_open(&window, 0);
	assert_int_equal(window.size, 32 * KIB);
	assert_int_equal(window_charged(&window), 0);
	window_close(&window, *state);
	assert_int_equal(flow_control_memory_left(*state), 8 * MIB);
}

static void finding_t9_the_first_window_holds_a_large_answer_and_is_charged(void **state)
{
	(void)state;
	struct flow_control_memory *budget = flow_control_memory_new(0);
	struct window window;
	window_open(&window, 0);
	assert_int_equal(window_first(&window, budget), 1 * MIB);
	assert_int_equal(window_charged(&window), 1 * MIB - 32 * KIB);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB - window_charged(&window));
	window_close(&window, budget);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB);
	flow_control_memory_free(budget);
}

/* However many streams there are, first windows leave half of the budget to those that grow. */
static void finding_t9_first_windows_shrink_with_their_number_and_leave_half(void **state)
{
	(void)state;
	enum { NUM = 4000 };
	static struct window windows[NUM];
	struct flow_control_memory *budget = flow_control_memory_new(0);
	uint32_t before = UINT32_MAX, num_large = 0, num_100_kib = 0;
	for (unsigned i = 0; i < NUM; i++) {
		window_open(&windows[i], 0);
		uint32_t size = window_first(&windows[i], budget);
		assert_true(size <= before && size >= 32 * KIB);
		before = size;
		num_large += size >= 512 * KIB;
		num_100_kib += size >= 100 * KIB;
	}
	assert_in_range(num_large, 20, 24);
	assert_in_range(num_100_kib, 80, 90);
	assert_true(flow_control_memory_left(budget) >= 32 * MIB);
	for (unsigned i = 0; i < NUM; i++)
		window_close(&windows[i], budget);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB);
	flow_control_memory_free(budget);
}

static void doubles_when_it_is_filled_within_two_round_trips(void **state)
{
	struct window window;
	window_open(&window, 0);
	assert_int_equal(window_received(&window, *state, 32 * KIB - 1, true, 90, 50), WINDOW_SAME);
	assert_int_equal(window_received(&window, *state, 1, true, 100, 50), WINDOW_GROWN);
	assert_int_equal(window.size, 64 * KIB);
	assert_int_equal(flow_control_memory_left(*state), 8 * MIB - 32 * KIB);
	window_close(&window, *state);
}

static void stays_when_the_sender_is_slower_than_its_window(void **state)
{
	struct window window;
	window_open(&window, 0);
	assert_int_equal(window_received(&window, *state, 32 * KIB, true, 106, 50), WINDOW_SAME);
	assert_int_equal(window.size, 32 * KIB);
	/* The next window is measured from its own start. */
	assert_int_equal(window_received(&window, *state, 32 * KIB, true, 150, 50), WINDOW_GROWN);
	window_close(&window, *state);
}

static void stays_while_the_app_does_not_keep_up(void **state)
{
	struct window window;
	window_open(&window, 0);
	assert_int_equal(window_received(&window, *state, 32 * KIB, false, 1, 50), WINDOW_SAME);
	window_close(&window, *state);
}

static void grows_no_further_than_its_maximum(void **state)
{
	(void)state;
	struct flow_control_memory *budget = flow_control_memory_new(0);
	struct window window;
	window_open(&window, 0);
	for (unsigned i = 0; i < 20; i++)
		(void)window_received(&window, budget, window.size, true, 0, 1);
	assert_int_equal(window.size, WINDOW_MAX);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB - WINDOW_MAX + 32 * KIB);
	window_close(&window, budget);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB);
	flow_control_memory_free(budget);
}

static void D38_never_grants_more_than_the_budget_holds(void **state)
{
	enum { NUM = 400 };
	struct flow_control_memory *budget = *state;
	static struct window windows[NUM];
	unsigned over = 0;
	for (unsigned i = 0; i < NUM; i++)
		window_open(&windows[i], 0);
	for (unsigned i = 0; i < NUM * 20; i++)
		over += window_received(&windows[i % NUM], budget, windows[i % NUM].size, true, 0, 1) ==
			WINDOW_OVER_LIMIT;
	assert_true(over > 0);
	uint64_t charged = 0;
	for (unsigned i = 0; i < NUM; i++)
		charged += window_charged(&windows[i]);
	assert_int_equal(charged + flow_control_memory_left(budget), 8 * MIB);
	for (unsigned i = 0; i < NUM; i++)
		window_close(&windows[i], budget);
	assert_int_equal(flow_control_memory_left(budget), 8 * MIB);
}

/* 64 MiB, and streams that each take what they can and then fall idle. */
static void finding_l11_idle_streams_leave_room_for_the_next(void **state)
{
	(void)state;
	enum { NUM = 1000 };
	static struct window windows[NUM];
	struct flow_control_memory *budget = flow_control_memory_new(0);
	for (unsigned i = 0; i < NUM; i++) {
		window_open(&windows[i], 0);
		for (unsigned turn = 0; turn < 20; turn++)
			(void)window_received(&windows[i], budget, windows[i].size, true, 0, 1);
		if (i == 23)
			assert_true(flow_control_memory_left(budget) >= 7 * MIB); /* 24 held it all */
	}
	assert_int_equal(windows[0].size, 4 * MIB);
	assert_true(flow_control_memory_left(budget) > 0);
	for (unsigned i = 0; i < NUM; i++)
		window_close(&windows[i], budget);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB);
	flow_control_memory_free(budget);
}

static void finding_l11_a_window_that_was_idle_shrinks_as_its_sender_goes_on(void **state)
{
	(void)state;
	struct flow_control_memory *budget = flow_control_memory_new(0);
	struct window window;
	window_open(&window, 0);
	for (unsigned i = 0; i < 5; i++)
		(void)window_received(&window, budget, window.size, true, 0, 1);
	assert_int_equal(window.size, 1 * MIB);
	assert_false(window_shrinks(&window, 9999));
	(void)window_received(&window, budget, 100 * KIB, true, 5000, 1);
	assert_true(window_shrinks(&window, 10000));
	assert_int_equal(window.size, 128 * KIB);                      /* holds what came in ten seconds */
	assert_int_equal(window_charged(&window), 1 * MIB - 32 * KIB); /* nothing has come back yet */
	assert_int_equal(window_settle(&window, budget, 500 * KIB), 500 * KIB);
	assert_int_equal(window_settle(&window, budget, 500 * KIB), 396 * KIB);
	assert_int_equal(window_settle(&window, budget, 500 * KIB), 0);
	assert_int_equal(window_charged(&window), 96 * KIB);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB - 96 * KIB);
	uint32_t given = 1;
	assert_int_equal(window_received(&window, budget, 128 * KIB, true, 10000, 1), WINDOW_GROWN);
	assert_int_equal(window_regrant(&window, budget, 128 * KIB, &given), 128 * KIB); /* all was settled */
	assert_int_equal(given, 0);
	struct window other;
	window_open(&other, 0);
	for (unsigned i = 0; i < 3; i++)
		(void)window_received(&other, budget, other.size, true, 0, 1);
	other.size -= 100 * KIB; /* as if not: what is in the new size is not owed as well */
	window.owed = 100 * KIB;
	assert_int_equal(window_received(&window, budget, 256 * KIB, true, 10000, 1), WINDOW_GROWN);
	assert_int_equal(window_regrant(&window, budget, 256 * KIB, &given), 156 * KIB);
	assert_int_equal(given, 100 * KIB);
	window_close(&window, budget);
	assert_int_equal(flow_control_memory_left(budget), 64 * MIB - 124 * KIB); /* the other's */
	window_close(&other, budget);
	flow_control_memory_free(budget);
}

#define WINDOW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WINDOW_TEST(finding_l11_idle_streams_leave_room_for_the_next),
		WINDOW_TEST(finding_l11_a_window_that_was_idle_shrinks_as_its_sender_goes_on),
		WINDOW_TEST(starts_with_32_kib_that_cost_nothing),
		WINDOW_TEST(finding_t9_the_first_window_holds_a_large_answer_and_is_charged),
		WINDOW_TEST(finding_t9_first_windows_shrink_with_their_number_and_leave_half),
		WINDOW_TEST(doubles_when_it_is_filled_within_two_round_trips),
		WINDOW_TEST(stays_when_the_sender_is_slower_than_its_window),
		WINDOW_TEST(stays_while_the_app_does_not_keep_up),
		WINDOW_TEST(grows_no_further_than_its_maximum),
		WINDOW_TEST(D38_never_grants_more_than_the_budget_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
