#include "base/http/http_date.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void a_time_is_written_and_read(void **state)
{
	static const struct {
		int64_t s;
		const char *text;
	} rows[] = {{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"}, {INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT"}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[HTTP_DATE_TEXT];
		int64_t s = -1;
		http_date_format(rows[i].s, text);
		assert_string_equal(text, rows[i].text);
		assert_true(http_date_parse(span_of_str(text), &s));
		assert_int_equal(s, rows[i].s);
	}
}

static void another_form_is_refused(void **state)
{
	static const char *const rows[] = {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 0994 08:49:37 GMT", "Sun, 06 Xyz 1994 08:49:37 GMT"};
	int64_t s;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_false(http_date_parse(span_of_str(rows[i]), &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_written_and_read),
		cmocka_unit_test(another_form_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
