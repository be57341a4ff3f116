#include "base/net/own_address.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void assert_finds(int family, const char *expected)
{
	struct ip_addr ip;
	char text[ADDR_TEXT_MAX];
	assert_true(own_address_find(family, &ip));
	assert_string_equal(ip_addr_format(&ip, text), expected);
}

static void finding_p13_finds_nothing_without_a_route(_unused_ void **state)
{
	struct ip_addr ip;
	assert_false(own_address_find(AF_INET, &ip));
	assert_false(own_address_find(AF_INET6, &ip));
}

static void finding_p13_finds_the_address_of_each_family_with_a_route(_unused_ void **state)
{
	struct ip_addr ip;
	assert_int_equal(system("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && "
				"ip addr add 192.0.2.1/24 dev v0 && ip route add default via 192.0.2.2"),
		0);
	assert_finds(AF_INET, "192.0.2.1");
	assert_false(own_address_find(AF_INET6, &ip)); /* it has a link-local address */
	assert_int_equal(
		system("ip addr add 2001:db8:9::1/64 dev v0 nodad && ip route add default via 2001:db8:9::2"), 0);
	assert_finds(AF_INET6, "2001:db8:9::1");
}

static int enter_namespace(_unused_ void **state)
{
	if (unshare(CLONE_NEWNET) == 0)
		return system("ip link set lo up");
	fputs("needs root, for a network namespace of its own\n", stderr);
	return -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_p13_finds_nothing_without_a_route),
		cmocka_unit_test(finding_p13_finds_the_address_of_each_family_with_a_route),
	};
	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
