#include "sidecar/discovery/subscription.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static bool take(struct subscription_set *set, const char *text, uint64_t version)
{
	struct addr addr = addr_of(text);
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&addr, DESTINATION_PLAIN, version, 0);
	return subscription_set_take(set, answer);
}

static void a_destination_is_asked_once(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(4);
	struct addr a = addr_of("192.0.2.1:1"), dropped;
	assert_true(subscription_set_ask(set, &a, &dropped));
	assert_false(subscription_set_ask(set, &a, &dropped));
	assert_int_equal(subscription_set_num(set), 1);
	subscription_set_free(set);
}

static void c13_an_answer_that_is_not_newer_or_not_wanted_is_left(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(4);
	struct addr a = addr_of("192.0.2.1:1"), dropped;
	assert_true(subscription_set_ask(set, &a, &dropped));
	assert_true(take(set, "192.0.2.1:1", 7));
	assert_false(take(set, "192.0.2.1:1", 7));
	assert_false(take(set, "192.0.2.1:1", 6));
	assert_false(take(set, "192.0.2.2:1", 9));
	assert_int_equal(subscription_set_known(set, &a)->version, 7);
	subscription_set_free(set);
}

static void a_new_stream_may_number_from_anew_and_what_is_known_stays(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(4);
	struct addr a = addr_of("192.0.2.1:1"), dropped;
	assert_true(subscription_set_ask(set, &a, &dropped));
	assert_true(take(set, "192.0.2.1:1", 7));
	subscription_set_restart(set);
	assert_int_equal(subscription_set_known(set, &a)->version, 7);
	assert_true(take(set, "192.0.2.1:1", 2));
	assert_int_equal(subscription_set_known(set, &a)->version, 2);
	subscription_set_free(set);
}

static void the_least_recently_asked_makes_room(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(2);
	struct addr a = addr_of("192.0.2.1:1"), b = addr_of("192.0.2.1:2"), c = addr_of("192.0.2.1:3"), dropped;
	assert_true(subscription_set_ask(set, &a, &dropped));
	assert_true(subscription_set_ask(set, &b, &dropped));
	assert_int_equal(dropped.ip.family, 0);
	assert_false(subscription_set_ask(set, &a, &dropped));
	assert_true(subscription_set_ask(set, &c, &dropped));
	assert_true(addr_eq(&dropped, &b));
	assert_int_equal(subscription_set_num(set), 2);
	subscription_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_destination_is_asked_once),
		cmocka_unit_test(c13_an_answer_that_is_not_newer_or_not_wanted_is_left),
		cmocka_unit_test(a_new_stream_may_number_from_anew_and_what_is_known_stays),
		cmocka_unit_test(the_least_recently_asked_makes_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
