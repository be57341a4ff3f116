#include "base/core/mem.h"
#include "sidecar/former_lines.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void modes_come_back_as_they_were(_unused_ void **state)
{
	struct policy_port ports[] = {{80, INBOUND_STRICT}, {65535, INBOUND_OFF}};
	const struct modes_line modes = {INBOUND_PERMISSIVE, OUTBOUND_REQUIRE, ports, 2};
	struct modes_line read;
	_cleanup_(buf_done) struct buf line = BUF_INIT(FORMER_LINE_MAX);
	assert_int_equal(modes_line_encode(&modes, &line), ERR_NONE);
	assert_string_equal(buf_cstr(&line), "modes 1 2 80:2 65535:0\n");
	assert_int_equal(modes_line_parse(first_line_of(&line), &read), ERR_NONE);
	assert_int_equal(read.inbound, INBOUND_PERMISSIVE);
	assert_int_equal(read.outbound, OUTBOUND_REQUIRE);
	assert_int_equal(read.num_ports, 2);
	assert_int_equal(read.ports[0].port, 80);
	assert_int_equal(read.ports[0].mode, INBOUND_STRICT);
	assert_int_equal(read.ports[1].port, 65535);
	assert_int_equal(read.ports[1].mode, INBOUND_OFF);
	mem_free(read.ports);
}

static void modes_that_are_not_known_are_malformed(_unused_ void **state)
{
	static const char *const wrong[] = {"", "modes", "modes ", "modes 1", "modes 3 1", "modes 1 3", "modes 1 1 80",
		"modes 1 1 80:3", "modes 1 1 65536:1", "modes 1 1 80:1:1", "mode 1 1", "modes -1 1", "modes 1 1 new",
		"former 1 1 1"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct modes_line read;
		assert_int_equal(modes_line_parse(span_of_str(wrong[i]), &read), ERR_MALFORMED);
	}
}

static void modes_of_too_many_ports_do_not_fit(_unused_ void **state)
{
	static struct policy_port ports[10000];
	for (size_t i = 0; i < 10000; i++)
		ports[i] = (struct policy_port){(uint16_t)(50000 + i), INBOUND_STRICT};
	const struct modes_line modes = {INBOUND_STRICT, OUTBOUND_AUTO, ports, 10000};
	_cleanup_(buf_done) struct buf line = BUF_INIT(FORMER_LINE_MAX);
	assert_int_equal(modes_line_encode(&modes, &line), ERR_LIMIT);
}

static void what_a_former_process_has_left_comes_back(_unused_ void **state)
{
	const struct former_line former = {4711, 3, 1790000000};
	struct former_line read;
	_cleanup_(buf_done) struct buf line = BUF_INIT(FORMER_LINE_MAX);
	assert_int_equal(former_line_encode(&former, &line), ERR_NONE);
	assert_int_equal(former_line_parse(first_line_of(&line), &read), ERR_NONE);
	assert_int_equal(read.pid, 4711);
	assert_int_equal(read.num_connections, 3);
	assert_int_equal(read.until_s, 1790000000);
	static const char *const wrong[] = {"", "former 1 1", "former 1 1 1 1", "former x 1 1", "modes 1 1", "former"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(former_line_parse(span_of_str(wrong[i]), &read), ERR_MALFORMED);
}

static void a_line_without_its_end_is_no_line_yet(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf come = BUF_INIT(FORMER_LINE_MAX);
	assert_null(first_line_of(&come).ptr);
	assert_int_equal(buf_append_str(&come, "modes 1"), ERR_NONE);
	assert_null(first_line_of(&come).ptr);
	assert_int_equal(buf_append_str(&come, " 2\nmodes"), ERR_NONE);
	assert_true(span_eq(first_line_of(&come), SPAN_LITERAL("modes 1 2")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_come_back_as_they_were),
		cmocka_unit_test(modes_that_are_not_known_are_malformed),
		cmocka_unit_test(modes_of_too_many_ports_do_not_fit),
		cmocka_unit_test(what_a_former_process_has_left_comes_back),
		cmocka_unit_test(a_line_without_its_end_is_no_line_yet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
