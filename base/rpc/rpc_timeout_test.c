#include "base/rpc/rpc_timeout.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void expect(const char *text, uint32_t ms)
{
	uint32_t got = 1;
	assert_int_equal(rpc_timeout_parse(span_of_str(text), &got), ERR_NONE);
	assert_int_equal(got, ms);
}

static void parses_each_unit(_unused_ void **state)
{
	expect("1H", 3600000);
	expect("2M", 120000);
	expect("3S", 3000);
	expect("250m", 250);
	expect("1500u", 2);
	expect("1n", 1);
	expect("0n", 0);
}

static void c11_the_largest_timeout_is_the_maximum(_unused_ void **state)
{
	expect("99999999H", UINT32_MAX);
	expect("99999999M", UINT32_MAX);
	expect("99999999S", UINT32_MAX);
	expect("99999999m", 99999999);
}

static void c11_refuses_malformed_timeouts(_unused_ void **state)
{
	static const char *const bad[] = {"", "S", "1", "-1S", "+1S", " 1S", "1 S", "1s", "1.5S", "100000000S",
		"99999999999999999999S", "0x1S", "1SS", "1S "};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t ms = 77;
		assert_int_equal(rpc_timeout_parse(span_of_str(bad[i]), &ms), ERR_MALFORMED);
		assert_int_equal(ms, 77);
	}
}

static void parses_formatted_timeouts(_unused_ void **state)
{
	char text[RPC_TIMEOUT_TEXT_MAX];
	assert_string_equal(rpc_timeout_format(5000, text), "5000m");
	assert_string_equal(rpc_timeout_format(100000000, text), "100000S");
	expect(rpc_timeout_format(UINT32_MAX, text), UINT32_MAX / 1000 * 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_each_unit),
		cmocka_unit_test(c11_the_largest_timeout_is_the_maximum),
		cmocka_unit_test(c11_refuses_malformed_timeouts),
		cmocka_unit_test(parses_formatted_timeouts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
