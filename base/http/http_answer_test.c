#include "base/http/http_answer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static enum err read_text(const char *text, bool is_end, struct http_answer *out)
{
	return http_answer_read(span_of_str(text), is_end, out);
}

static void assert_text(struct span bytes, const char *text)
{
	assert_true(span_eq(bytes, span_of_str(text)));
}

static void a_body_ends_with_its_length_or_the_connection(void **state)
{
	static const char with[] = "HTTP/1.1 200 OK\r\ncontent-length:  2 \r\n\r\n{}rest",
			  without[] = "HTTP/1.1 200 OK\r\n\r\n{}";
	struct http_answer answer;
	(void)state;
	assert_int_equal(read_text(with, false, &answer), ERR_NONE);
	assert_int_equal(answer.status, 200);
	assert_text(answer.body, "{}");
	assert_int_equal(read_text(without, false, &answer), ERR_UNAVAILABLE);
	assert_int_equal(read_text(without, true, &answer), ERR_NONE);
	assert_text(answer.body, "{}");
}

static void each_part_of_an_answer_waits_for_the_rest(void **state)
{
	static const char whole[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nabc";
	struct http_answer answer;
	(void)state;
	for (size_t len = 0; len < sizeof whole - 1; len++) {
		assert_int_equal(http_answer_read(span_of(whole, len), false, &answer), ERR_UNAVAILABLE);
		assert_int_equal(http_answer_read(span_of(whole, len), true, &answer), ERR_MALFORMED);
	}
	assert_int_equal(read_text(whole, false, &answer), ERR_NONE);
}

static void an_upgrade_has_no_body(void **state)
{
	struct http_answer answer;
	(void)state;
	assert_int_equal(
		read_text("HTTP/1.1 101 Switching Protocols\r\nUPGRADE: websocket\r\n\r\n\x82", false, &answer),
		ERR_NONE);
	assert_text(http_answer_header(&answer, "Upgrade"), "websocket");
	assert_text(answer.body, "\x82");
	assert_null(http_answer_header(&answer, "Up").ptr);
}

static void a_chunked_body_ends_with_its_last_chunk(void **state)
{
	struct http_answer answer;
	(void)state;
	assert_int_equal(read_text("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", false, &answer),
		ERR_UNAVAILABLE);
	assert_int_equal(
		read_text("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false, &answer),
		ERR_NONE);
}

static void what_is_no_http_is_refused(void **state)
{
	static const char *const rows[] = {"SSH-2.0-OpenSSH", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 \r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"};
	struct http_answer answer;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(read_text(rows[i], false, &answer), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_ends_with_its_length_or_the_connection),
		cmocka_unit_test(each_part_of_an_answer_waits_for_the_rest),
		cmocka_unit_test(an_upgrade_has_no_body),
		cmocka_unit_test(a_chunked_body_ends_with_its_last_chunk),
		cmocka_unit_test(what_is_no_http_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
