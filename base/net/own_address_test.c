#include "base/net/own_address.h"
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
/* cmocka requires setjmp, stdarg and stdint */
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

static bool has(const char *text, const char *interface)
{
	struct ip_addr ip;
	bool is_own = false;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	assert_int_equal(own_address_has(&ip, interface == NULL ? 0 : if_nametoindex(interface), &is_own), ERR_NONE);
	return is_own;
}

/* Beside keepalived and HAProxy a program may bind to addresses that are elsewhere. */
static void an_own_address_is_known_also_where_bind_takes_any(_unused_ void **state)
{
	static const char *const own[] = {"192.0.2.1", "192.0.2.77", "198.51.100.9", "127.0.0.1", "127.0.0.77", "::1",
		"2001:db8:9::1", "2001:db8:9::77", "100::6"};
	static const char *const others[] = {"192.0.2.2", "192.0.2.0", "192.0.2.255", "255.255.255.255", "0.0.0.0",
		"203.0.113.1", "224.0.0.1", "2001:db8:9::2", "2001:db8:a::1", "::", "ff02::1", "fe80::1", "fe80::77"};
	assert_int_equal(system("ip addr add 192.0.2.77/24 dev v0 && ip addr add 198.51.100.9/32 dev v0 && "
				"ip addr add 100::6/128 dev lo preferred_lft 0 && "
				"ip addr add 2001:db8:9::77/64 dev v0 nodad && ip addr add fe80::77/64 dev v0 nodad && "
				"sysctl -qw net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1"),
		0);
	for (unsigned i = 0; i < sizeof(own) / sizeof(*own); i++)
		assert_true(has(own[i], NULL));
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(has(others[i], NULL));
	assert_true(has("fe80::77", "v0"));
	assert_false(has("fe80::77", "v1")); /* which has another one */
	assert_false(has("fe80::1", "v0"));
	assert_false(has("ff02::1", "v0"));
}

static void a_full_table_of_descriptors_is_no_answer(_unused_ void **state)
{
	struct rlimit limit, none;
	struct ip_addr ip;
	bool is_own = true;
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.1"), &ip), ERR_NONE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	enum err err = own_address_has(&ip, 0, &is_own);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(err, ERR_FD_EXHAUSTED);
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
		cmocka_unit_test(an_own_address_is_known_also_where_bind_takes_any),
		cmocka_unit_test(a_full_table_of_descriptors_is_no_answer),
	};
	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
