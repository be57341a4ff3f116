#include "sidecar/identity/control_address.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void one_address_or_several_are_parsed(void **state)
{
	(void)state;
	struct control_address one = {0}, two = {0};
	assert_int_equal(control_address_parse("192.0.2.1:15012", &one, NULL), ERR_NONE);
	assert_int_equal(one.num, 1);
	assert_int_equal(control_address_parse("[2001:db8::1]:15012 , 192.0.2.1:15013", &two, NULL), ERR_NONE);
	assert_int_equal(two.num, 2);
	assert_int_equal(two.own[0].ip.family, AF_INET6);
	assert_int_equal(two.own[1].port, 15013);
	assert_null(two.host);
	struct control_address many = {0};
	assert_int_equal(control_address_parse("192.0.2.1:1,192.0.2.2:2,[2001:db8::1]:1,[2001:db8::2]:1", &many, NULL),
		ERR_NONE);
	assert_int_equal(many.num, 4);
	assert_int_equal(many.own[1].port, 2);
}

static void a_name_is_parsed_with_its_port(void **state)
{
	(void)state;
	struct control_address named = {0};
	assert_int_equal(control_address_parse("control.example:15012", &named, NULL), ERR_NONE);
	assert_string_equal(named.host, "control.example");
	assert_int_equal(named.port, 15012);
	assert_int_equal(named.num, 0);
	control_address_done(&named);
}

static void a_unix_socket_comes_first_and_may_have_addresses_behind_it(void **state)
{
	(void)state;
	struct control_address alone = {0}, both = {0};
	char text[ADDR_TEXT_MAX];
	assert_int_equal(control_address_parse("unix:/run/a.sock", &alone, NULL), ERR_NONE);
	assert_string_equal(alone.unix_path, "/run/a.sock");
	assert_int_equal(alone.num, 0);
	assert_string_equal(control_address_name(&alone, &(struct addr){0}, text), "/run/a.sock");
	assert_int_equal(control_address_parse("unix:/run/a.sock, 192.0.2.1:15012", &both, NULL), ERR_NONE);
	assert_int_equal(both.num, 1);
	assert_string_equal(control_address_name(&both, &both.own[0], text), "192.0.2.1:15012");
	control_address_done(&alone);
	control_address_done(&both);
	static const char *const wrong[] = {"unix:", "unix:a.sock", "unix:/", "unix:/a,", "unix:/a,control.example:1",
		"192.0.2.1:1,unix:/a", "unix:/a,unix:/b"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(control_address_parse(wrong[i], &alone, NULL), ERR_CONFIG);
}

static void malformed_addresses_are_refused(void **state)
{
	(void)state;
	static const char seventeen[] =
		"192.0.2.1:1,192.0.2.2:1,192.0.2.3:1,192.0.2.4:1,192.0.2.5:1,192.0.2.6:1,192.0.2.7:1,192.0.2.8:1,"
		"192.0.2.9:1,192.0.2.10:1,192.0.2.11:1,192.0.2.12:1,192.0.2.13:1,192.0.2.14:1,192.0.2.15:1,"
		"192.0.2.16:1,192.0.2.17:1";
	const char *const wrong[] = {"", ",", "192.0.2.1", "control.example", ":15012", "control.example:0",
		"192.0.2.1:1,192.0.2.1:2", "[2001:db8::1]:1,[2001:db8::1]:1", "192.0.2.1:1,[2001:db8::1]:1,a:1",
		"192.0.2.1:1,control.example:1", "control.example:1,192.0.2.1:1", "a:1,b:1", "2001:db8::1:15012",
		"192.0.2.1:1,", seventeen};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct control_address address = {0};
		struct why why = {0};
		assert_int_equal(control_address_parse(wrong[i], &address, &why), ERR_CONFIG);
		assert_null(address.host);
	}
}

static struct ip_addr ip(const char *text)
{
	struct ip_addr parsed;
	assert_int_equal(ip_addr_parse(span_of_str(text), &parsed), ERR_NONE);
	return parsed;
}

static void both_families_are_dialed_with_the_preferred_one_first(void **state)
{
	(void)state;
	const struct ip_addr ips[] = {ip("192.0.2.1"), ip("2001:db8::1")};
	struct dial_sequence order;
	dial_sequence_make(ips, 2, 0, 0, 0, &order);
	assert_int_equal(order.num, 2);
	assert_int_equal(order.ips[0].family, AF_INET);
	dial_sequence_make(ips, 2, 0, AF_INET6, 5, &order);
	assert_int_equal(order.ips[0].family, AF_INET6);
	assert_int_equal(order.ips[1].family, AF_INET);
}

static void a_single_family_is_dialed_if_it_has_an_address(void **state)
{
	(void)state;
	const struct ip_addr ips[] = {ip("192.0.2.1"), ip("2001:db8::1")};
	struct dial_sequence order;
	dial_sequence_make(ips, 2, AF_INET6, AF_INET, 0, &order);
	assert_int_equal(order.num, 1);
	assert_int_equal(order.ips[0].family, AF_INET6);
	dial_sequence_make(ips, 1, AF_INET6, AF_INET, 0, &order);
	assert_int_equal(order.num, 0);
	dial_sequence_make(ips, 0, 0, 0, 0, &order);
	assert_int_equal(order.num, 0);
}

static void all_addresses_of_a_name_are_dialed_in_turn(void **state)
{
	(void)state;
	const struct ip_addr ips[] = {ip("192.0.2.1"), ip("2001:db8::1"), ip("192.0.2.2")};
	struct dial_sequence order;
	dial_sequence_make(ips, 3, 0, AF_INET, 1, &order);
	assert_true(ip_addr_eq(&order.ips[0], &ips[2]));
	assert_true(ip_addr_eq(&order.ips[1], &ips[1]));
	dial_sequence_make(ips, 3, 0, AF_INET, 2, &order);
	assert_true(ip_addr_eq(&order.ips[0], &ips[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_or_several_are_parsed),
		cmocka_unit_test(a_name_is_parsed_with_its_port),
		cmocka_unit_test(a_unix_socket_comes_first_and_may_have_addresses_behind_it),
		cmocka_unit_test(malformed_addresses_are_refused),
		cmocka_unit_test(both_families_are_dialed_with_the_preferred_one_first),
		cmocka_unit_test(a_single_family_is_dialed_if_it_has_an_address),
		cmocka_unit_test(all_addresses_of_a_name_are_dialed_in_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
