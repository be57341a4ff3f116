#include "intercept/kernel_tcp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static const char V4[] =
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	"   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20 1 0 100 0 0 10 "
	"0\n"
	"   1: 0100007F:3A99 020200C0:C350 01 00000000:00000000 00:00000000 00000000     0        0 21 1 0 20 4 30 10 "
	"-1\n";

static const char V6[] = "  sl  local_address                         remote_address                        st\n"
			 "   0: 00000000000000000000000001000000:3A99 B80D0120000001000000000002000000:C351 01 0\n"
			 "   1: 0000000000000000FFFF00000100007F:3A99 0000000000000000FFFF0000020200C0:C352 01 0\n";

static bool has(const char *table, uint16_t port, const char *remote)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(remote), &addr), ERR_NONE);
	return kernel_tcp_table_has(span_of_str(table), port, &addr);
}

static void finds_a_connection_by_port_and_remote_address(_unused_ void **state)
{
	assert_true(has(V4, 15001, "192.0.2.2:50000"));
	assert_true(has(V6, 15001, "[2001:db8:1::2]:50001"));
}

static void finds_an_ipv4_connection_of_a_dual_stack_listener(_unused_ void **state)
{
	assert_true(has(V6, 15001, "192.0.2.2:50002"));
}

static void finds_nothing_when_one_of_the_three_differs(_unused_ void **state)
{
	assert_false(has(V4, 15006, "192.0.2.2:50000"));
	assert_false(has(V4, 15001, "192.0.2.3:50000"));
	assert_false(has(V4, 15001, "192.0.2.2:50001"));
}

static void a_listener_is_distinguished_from_a_connection(_unused_ void **state)
{
	assert_true(kernel_tcp_table_listens(span_of_str(V4), 15001));
	assert_false(kernel_tcp_table_listens(span_of_str(V4), 15002));
	assert_false(kernel_tcp_table_listens(span_of_str(V6), 15001));
}

static void finds_nothing_in_a_malformed_table(_unused_ void **state)
{
	const char *const bad[] = {"", "\n\n", "0:", "0: 0100007F", "0: 0100007F:3A9", "0: 0100007F:3A99 ",
		"0: 0100007F:3A99 020200C0", "0: 0100007F0:3A99 020200C0:C350", "0: zz:3A99 020200C0:C350"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(has(bad[i], 15001, "192.0.2.2:50000"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_connection_by_port_and_remote_address),
		cmocka_unit_test(finds_an_ipv4_connection_of_a_dual_stack_listener),
		cmocka_unit_test(finds_nothing_when_one_of_the_three_differs),
		cmocka_unit_test(a_listener_is_distinguished_from_a_connection),
		cmocka_unit_test(finds_nothing_in_a_malformed_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
