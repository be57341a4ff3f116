#include "base/net/source_mark.h"
#include "base/net/test_namespace.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static bool is_routed(int family)
{
	bool is = false;
	assert_int_equal(source_mark_is_routed(family, &is), ERR_NONE);
	return is;
}

static void the_rule_is_found_in_its_family_alone(void **state)
{
	(void)state;
	assert_false(is_routed(AF_INET));
	assert_int_equal(system("ip rule add fwmark 1337 lookup 1337"), 0);
	assert_true(is_routed(AF_INET));
	assert_false(is_routed(AF_INET6));
	assert_int_equal(system("ip -6 rule add fwmark 1337 lookup 1337 && ip rule del fwmark 1337 lookup 1337"), 0);
	assert_false(is_routed(AF_INET));
	assert_true(is_routed(AF_INET6));
}

static void rules_for_other_marks_are_none_and_many_rules_are_read_to_their_end(void **state)
{
	(void)state;
	assert_int_equal(system("for mark in $(seq 1 600); do echo rule add fwmark $mark lookup 7; done | ip -b -"), 0);
	assert_false(is_routed(AF_INET));
	assert_int_equal(system("ip rule add pref 32765 fwmark 1337 lookup 1337"), 0);
	assert_true(is_routed(AF_INET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rule_is_found_in_its_family_alone),
		cmocka_unit_test(rules_for_other_marks_are_none_and_many_rules_are_read_to_their_end),
	};
	return cmocka_run_group_tests(tests, test_namespace_enter, NULL);
}
