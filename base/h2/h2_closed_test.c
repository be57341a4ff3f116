#include "base/h2/h2_closed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void a_stream_is_known_once_with_its_end(void **state)
{
	(void)state;
	struct h2_closed closed = {0};
	h2_closed_add(&closed, 1, false);
	h2_closed_add(&closed, 3, true);
	assert_int_equal(h2_closed_take(&closed, 5), H2_CLOSED_UNKNOWN);
	assert_int_equal(h2_closed_take(&closed, 3), H2_CLOSED_BY_RESET);
	assert_int_equal(h2_closed_take(&closed, 3), H2_CLOSED_UNKNOWN);
	assert_int_equal(h2_closed_take(&closed, 1), H2_CLOSED_BY_END);
}

static void the_oldest_is_forgotten(void **state)
{
	(void)state;
	struct h2_closed closed = {0};
	for (int32_t i = 0; i <= H2_CLOSED_KEPT; i++)
		h2_closed_add(&closed, 1 + 2 * i, false);
	assert_int_equal(h2_closed_take(&closed, 1), H2_CLOSED_UNKNOWN);
	assert_int_equal(h2_closed_take(&closed, 3), H2_CLOSED_BY_END);
	assert_int_equal(h2_closed_take(&closed, 1 + 2 * H2_CLOSED_KEPT), H2_CLOSED_BY_END);
}

static void ids_that_were_passed_over_are_refused_and_others_are_not(void **state)
{
	(void)state;
	struct h2_closed closed = {0};
	assert_true(h2_closed_request(&closed, 1));
	assert_true(h2_closed_request(&closed, 3));
	assert_true(h2_closed_request(&closed, 1)); /* trailers */
	assert_true(h2_closed_request(&closed, 9));
	assert_false(h2_closed_request(&closed, 5));
	assert_false(h2_closed_request(&closed, 7));
	assert_true(h2_closed_request(&closed, 3));
	assert_true(h2_closed_request(&closed, 9));
	assert_true(h2_closed_request(&closed, 11));
	assert_false(h2_closed_request(&closed, 7));
}

static void the_first_request_may_have_any_id(void **state)
{
	(void)state;
	struct h2_closed closed = {0};
	assert_true(h2_closed_request(&closed, 5));
	assert_false(h2_closed_request(&closed, 3));
	assert_true(h2_closed_request(&closed, INT32_MAX));
	assert_true(h2_closed_request(&closed, INT32_MAX));
	assert_false(h2_closed_request(&closed, INT32_MAX - 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_is_known_once_with_its_end),
		cmocka_unit_test(the_oldest_is_forgotten),
		cmocka_unit_test(ids_that_were_passed_over_are_refused_and_others_are_not),
		cmocka_unit_test(the_first_request_may_have_any_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
