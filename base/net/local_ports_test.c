#include "base/net/local_ports.h"

#include "base/net/fd.h"
#include "base/net/socket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void reads_the_range_of_the_kernel(void **state)
{
	(void)state;
	struct local_ports ports;
	local_ports_init(&ports, 5);
	assert_in_range(ports.first, 1, ports.last);
	assert_int_equal(ports.at, ports.first + 5);
	local_ports_init(&ports, UINT32_MAX);
	assert_in_range(ports.at, ports.first, ports.last);
}

static void windows_rotate_within_the_range(void **state)
{
	(void)state;
	struct local_ports ports = {.first = 1000, .last = 1299, .at = 1000};
	assert_int_equal(local_ports_window(&ports), 1127U << 16 | 1000);
	local_ports_move(&ports);
	local_ports_move(&ports);
	assert_int_equal(local_ports_window(&ports), 1299U << 16 | 1256);
	local_ports_move(&ports);
	assert_int_equal(ports.at, 1000);
	const struct local_ports unknown = {.last = 0};
	assert_int_equal(local_ports_window(&unknown), 0);
	struct local_ports highest = {.first = 65400, .last = 65535, .at = 65530};
	assert_int_equal(local_ports_window(&highest), 65535U << 16 | 65530);
	local_ports_move(&highest);
	assert_int_equal(highest.at, 65400);
}

static void the_window_moves_with_each_connection(void **state)
{
	(void)state;
	struct local_ports ports = {.first = 1000, .last = 1009, .at = 1000};
	local_ports_step(&ports);
	assert_int_equal(ports.at, 1000 + LOCAL_PORTS_STEP);
	local_ports_step(&ports);
	assert_int_equal(ports.at, 1000);
}

enum { NUM_PORTS = 6 };

/* Connects until the range is exhausted; then the error. */
static void fill(const char *ip)
{
	struct local_ports ports;
	int fds[NUM_PORTS], listening = -1;
	unsigned num = 0;
	struct addr at = {.port = 0};
	assert_int_equal(ip_addr_parse(span_of_str(ip), &at.ip), ERR_NONE);
	assert_int_equal(socket_listen(&at, NULL, &listening, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(listening, &at), ERR_NONE);
	local_ports_init(&ports, 0);
	ports.first = ports.at = (uint16_t)(ports.last - NUM_PORTS + 1);
	struct socket_connect_options options = {
		.source = &at.ip, .ports = &ports, .over_loopback = true, .resets_on_close = true};
	while (num < NUM_PORTS && socket_connect(&at, &options, &fds[num]) == ERR_NONE) {
		struct addr local;
		assert_int_equal(socket_local_addr(fds[num++], &local), ERR_NONE);
		assert_in_range(local.port, ports.first, ports.last);
	}
	assert_true(num >= NUM_PORTS - 2); /* another program may use one */
	int over = -1;
	assert_int_equal(socket_connect(&at, &options, &over), ERR_NO_PORT);
	assert_int_equal(over, -1);
	while (num > 0)
		fd_close(fds[--num]);
	fd_close(listening);
}

static void finding_p6_reports_when_ports_are_exhausted(void **state)
{
	(void)state;
	fill("127.0.0.1");
	fill("::1");
}

static void finding_p6_a_foreign_source_is_another_error(void **state)
{
	(void)state;
	struct addr at;
	int fd = -1;
	assert_int_equal(addr_parse(SPAN_LITERAL("127.0.0.1:9"), &at), ERR_NONE);
	struct ip_addr source;
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.77"), &source), ERR_NONE);
	struct socket_connect_options options = {.source = &source, .over_loopback = true};
	assert_int_equal(socket_connect(&at, &options, &fd), ERR_UNREACHABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_range_of_the_kernel),
		cmocka_unit_test(the_window_moves_with_each_connection),
		cmocka_unit_test(windows_rotate_within_the_range),
		cmocka_unit_test(finding_p6_reports_when_ports_are_exhausted),
		cmocka_unit_test(finding_p6_a_foreign_source_is_another_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
