#include "base/settings/command_line/library_version.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>
#include <gnu/libc-version.h>
#include <stdio.h>

static void puts_the_name_of_the_table_before_the_version(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(256);
	library_version_put(&out, LIBRARY_HTTP_PARSER, "%d.%d", 2, 9);
	library_version_put(&out, LIBRARY_CARES, "%s", "1.18.1");
	assert_string_equal(buf_cstr(&out), "http-parser 2.9\nc-ares 1.18.1\n");
}

static const char *jansson_version_str(void)
{
	return "2.14";
}

static unsigned long http_parser_version(void)
{
	return 2 << 16 | 9 << 8 | 4;
}

static void puts_the_version_that_a_library_reports(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(256);
	LIBRARY_PUT_JANSSON(&out);
	LIBRARY_PUT_HTTP_PARSER(&out);
	assert_string_equal(buf_cstr(&out), "jansson 2.14\nhttp-parser 2.9.4\n");
}

static void cuts_a_version_that_is_too_long(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(256);
	library_version_put(&out, LIBRARY_YAML, "%0100d", 1);
	assert_int_equal(buf_len(&out), sizeof "libyaml \n" - 1 + 63);
}

static void puts_nothing_into_a_full_buffer(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(4);
	library_version_put(&out, LIBRARY_YAML, "%s", "0.2.5");
	assert_int_equal(buf_len(&out), 0);
}

static void names_the_c_library_that_is_linked(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(256);
	char line[64];
	snprintf(line, sizeof line, "glibc %s\n", gnu_get_libc_version());
	library_version_put_compilers(&out);
	assert_memory_equal(buf_cstr(&out), line, strlen(line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_the_name_of_the_table_before_the_version),
		cmocka_unit_test(puts_the_version_that_a_library_reports),
		cmocka_unit_test(cuts_a_version_that_is_too_long),
		cmocka_unit_test(puts_nothing_into_a_full_buffer),
		cmocka_unit_test(names_the_c_library_that_is_linked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
