#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/net/test_namespace.h"
#include "intercept/loopback_addr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static bool can_listen_at(const char *text)
{
	struct socket_listen_options options = {.v6_only = true};
	struct addr at = {.port = 8080};
	_cleanup_fd_ int fd = -1;
	assert_int_equal(ip_addr_parse(span_of_str(text), &at.ip), ERR_NONE);
	return socket_listen(&at, &options, &fd, NULL) == ERR_NONE;
}

static void adds_and_removes_the_addresses(_unused_ void **state)
{
	static const struct {
		int family;
		const char *text;
	} rows[] = {{AF_INET, "169.254.15.6"}, {AF_INET6, "100::6"}, {AF_INET6, "100::8"}, {AF_INET6, "100::f"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(can_listen_at(rows[i].text));
		assert_int_equal(loopback_addr_add(rows[i].family, NULL), ERR_NONE);
		assert_int_equal(loopback_addr_add(rows[i].family, NULL), ERR_NONE);
		assert_true(can_listen_at(rows[i].text));
		assert_int_equal(loopback_addr_remove(rows[i].family, NULL), ERR_NONE);
		assert_int_equal(loopback_addr_remove(rows[i].family, NULL), ERR_NONE);
		assert_false(can_listen_at(rows[i].text));
	}
}

static void finding_p9_also_removes_the_address_that_the_first_release_wrote(_unused_ void **state)
{
	assert_int_equal(system("ip addr add ::6/128 dev lo nodad"), 0);
	assert_true(can_listen_at("::6"));
	assert_int_equal(loopback_addr_remove(AF_INET6, NULL), ERR_NONE);
	assert_false(can_listen_at("::6"));
}

static void keeps_the_standard_loopback_addresses(_unused_ void **state)
{
	assert_int_equal(loopback_addr_remove(AF_INET, NULL), ERR_NONE);
	assert_int_equal(loopback_addr_remove(AF_INET6, NULL), ERR_NONE);
	assert_true(can_listen_at("127.0.0.1"));
	assert_true(can_listen_at("::1"));
}

static void detects_whether_ipv6_is_enabled(_unused_ void **state)
{
	struct why why = {0};
	assert_true(loopback_addr_has_v6());
	assert_int_equal(system("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"), 0);
	assert_false(loopback_addr_has_v6());
	assert_int_not_equal(loopback_addr_add(AF_INET6, &why), ERR_NONE);
	assert_string_not_equal(why.got, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_and_removes_the_addresses),
		cmocka_unit_test(finding_p9_also_removes_the_address_that_the_first_release_wrote),
		cmocka_unit_test(keeps_the_standard_loopback_addresses),
		cmocka_unit_test(detects_whether_ipv6_is_enabled), /* turns it off: last */
	};
	return cmocka_run_group_tests(tests, test_namespace_enter, NULL);
}
