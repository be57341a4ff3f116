/* What following an etcd costs, and what an operator reads of it. */
#include "base/core/log.h"
#include "control/store/etcd/test_store_etcd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct lines {
	unsigned num, num_left, num_again;
};

static void on_line(void *arg, const char *text)
{
	struct lines *lines = arg;
	lines->num++;
	lines->num_left += strstr(text, "this member of etcd is left") != NULL;
	lines->num_again += strstr(text, "etcd answers again") != NULL;
}

static void a_quiet_etcd_is_asked_twice_per_second_and_not_logged(void **state)
{
	struct lines lines = {0};
	log_set_tap("store", on_line, &lines);
	struct world *world = world_opened(state);
	unsigned before = test_etcd.num_ranges;
	world_pass(world, 10000);
	log_set_tap(NULL, NULL, NULL);
	assert_in_range(test_etcd.num_ranges - before, 16, 20);
	assert_int_equal(test_etcd.num_connections, 1);
	assert_int_equal(test_etcd.num_watches, 1);
	assert_int_equal(lines.num, 0);
}

/* However many members are tried meanwhile. */
static void trouble_and_its_end_are_logged_once(void **state, bool *fault)
{
	struct lines lines = {0};
	struct world *world = world_opened(state);
	world_pass(world, 1000);
	log_set_tap("store", on_line, &lines);
	*fault = true;
	world_pass(world, 12000);
	unsigned num_left = lines.num_left, num_again = lines.num_again;
	*fault = false;
	world_pass(world, 2000);
	log_set_tap(NULL, NULL, NULL);
	assert_true(test_etcd.num_connections > 2);
	assert_true(num_left >= 1 && num_left <= num_again + 1);
	assert_int_equal(lines.num_again, lines.num_left);
}

static void a_member_that_is_silent_is_logged(void **state)
{
	trouble_and_its_end_are_logged_once(state, &test_etcd.is_silent);
}

static void a_watch_that_stalls_is_logged(void **state)
{
	trouble_and_its_end_are_logged_once(state, &test_etcd.is_watch_silent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_quiet_etcd_is_asked_twice_per_second_and_not_logged),
		WORLD_TEST(a_member_that_is_silent_is_logged),
		WORLD_TEST(a_watch_that_stalls_is_logged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
