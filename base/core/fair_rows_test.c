#include "base/core/fair_rows.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define NUM(list) (sizeof(list) / sizeof(list)[0])

static void all_are_shown_where_there_is_room(void **state)
{
	(void)state;
	struct fair_rows list[] = {{"b", 3, 9}, {"a", 2, 9}, {"b", 0, 9}};
	assert_int_equal(fair_rows_share(list, NUM(list), 10, 5), 5);
	assert_int_equal(list[0].given, 3);
	assert_int_equal(list[1].given, 2);
	assert_int_equal(list[2].given, 0);
	assert_int_equal(fair_rows_share(list, 0, 10, 5), 0);
}

static void D40_one_owner_with_very_many_hides_no_other(void **state)
{
	(void)state;
	struct fair_rows list[] = {{"greedy", 1500, 0}, {"a", 3, 0}, {"greedy", 1500, 0}, {"z", 64, 0}};
	assert_int_equal(fair_rows_share(list, NUM(list), 5000, 2000), 2000);
	assert_int_equal(list[1].given, 3);
	assert_int_equal(list[3].given, 64);
	assert_int_equal(list[0].given + list[2].given, 2000 - 67);
	assert_int_equal(fair_rows_share(list, NUM(list), 128, 2000), 128 + 67);
	assert_int_equal(list[0].given, 64);
	assert_int_equal(list[2].given, 64);
}

static void sources_of_an_owner_get_equally_many(void **state)
{
	(void)state;
	struct fair_rows list[] = {{"a", 50, 0}, {"a", 1, 0}, {"a", 50, 0}, {"b", 5, 0}};
	assert_int_equal(fair_rows_share(list, NUM(list), 10, 100), 15);
	assert_int_equal(list[0].given, 5);
	assert_int_equal(list[1].given, 1);
	assert_int_equal(list[2].given, 4);
	assert_int_equal(list[3].given, 5);
}

static void of_more_owners_than_rows_the_first_have_one(void **state)
{
	(void)state;
	struct fair_rows list[] = {{"c", 5, 0}, {"a", 5, 0}, {"b", 5, 0}};
	assert_int_equal(fair_rows_share(list, NUM(list), 10, 2), 2);
	assert_int_equal(list[1].given, 1);
	assert_int_equal(list[2].given, 1);
	assert_int_equal(list[0].given, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_shown_where_there_is_room),
		cmocka_unit_test(D40_one_owner_with_very_many_hides_no_other),
		cmocka_unit_test(sources_of_an_owner_get_equally_many),
		cmocka_unit_test(of_more_owners_than_rows_the_first_have_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
