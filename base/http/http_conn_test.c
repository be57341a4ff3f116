#include "base/http/test_pages.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void a_page_is_answered_and_the_connection_closed(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/hello?you"));
	const char *answer = test_pages_end(pages, fd);
	assert_non_null(answer);
	assert_ptr_equal(strstr(answer, "HTTP/1.1 200 OK\r\n"), answer);
	assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
	assert_non_null(strstr(answer, "nosniff"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nyou");
}

static void head_gets_no_body(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, "HEAD /hello?you HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	const char *answer = test_pages_end(pages, fd);
	assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void a_page_may_be_answered_later(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/later"));
	assert_non_null(pages->held);
	assert_string_equal(http_request_path(pages->held), "/later");
	http_answer(TAKE_PTR(pages->held), 200, HTTP_JSON, SPAN_LITERAL("{}"));
	assert_string_equal(strstr(test_pages_end(pages, fd), "\r\n\r\n"), "\r\n\r\n{}");
}

static size_t read_all(struct test_pages *pages, int fd, char *out, size_t cap)
{
	size_t len = 0;
	for (int i = 0; i < 200; i++) {
		test_pages_turn(pages);
		ssize_t got = read(fd, out + len, cap - 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	out[len] = '\0';
	return len;
}

static void a_stream_goes_on_until_the_client_is_gone(void **state)
{
	struct test_pages *pages = *state;
	char answer[1024];
	int fd = test_pages_begin(pages, TEST_GET("/stream"));
	assert_non_null(pages->stream);
	assert_true(read_all(pages, fd, answer, sizeof answer) > 0);
	assert_ptr_equal(strstr(answer, "HTTP/1.1 200 OK\r\n"), answer);
	assert_non_null(strstr(answer, "X-More: yes\r\n"));
	assert_null(strstr(answer, "Content-Length"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	clock_fake_advance(&pages->clock, 60000); /* longer than an answer may take */
	http_stream_put(pages->stream, SPAN_LITERAL("one"));
	http_stream_put(pages->stream, SPAN_LITERAL("two"));
	assert_true(read_all(pages, fd, answer, sizeof answer) > 0);
	assert_string_equal(answer, "onetwo");
	fd_close(fd);
	test_pages_turn(pages);
	assert_null(pages->stream);
	assert_int_equal(http_server_num_conns(pages->server), 0);
}

static void D40_a_client_that_does_not_read_a_stream_is_cut_off(void **state)
{
	static const uint8_t zeros[1 << 20];
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/stream"));
	for (int i = 0; i < 32 && pages->stream != NULL; i++) {
		http_stream_put(pages->stream, span_of(zeros, sizeof zeros));
		test_pages_turn(pages);
	}
	assert_null(pages->stream);
	assert_int_equal(http_server_num_conns(pages->server), 0);
}

static void head_of_a_stream_ends(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, "HEAD /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_non_null(strstr(test_pages_end(pages, fd), "X-More: yes\r\n"));
	assert_null(pages->stream);
}

static void responds_503_to_a_late_answer(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/later"));
	clock_fake_advance(&pages->clock, 10100);
	assert_non_null(strstr(test_pages_end(pages, fd), "HTTP/1.1 503 "));
	assert_non_null(pages->held); /* the fixture answers it after the client disconnected */
}

static void drops_the_answer_for_a_disconnected_client(void **state)
{
	struct test_pages *pages = *state;
	int fd = test_pages_begin(pages, TEST_GET("/later"));
	socket_set_reset_on_close(fd, true);
	fd_close(fd);
	test_pages_turn(pages);
	http_answer(TAKE_PTR(pages->held), 200, HTTP_JSON, SPAN_LITERAL("{}"));
	test_pages_turn(pages);
	clock_fake_advance(&pages->clock, 1100);
	test_pages_turn(pages);
	assert_int_equal(http_server_num_conns(pages->server), 0);
}

static void closes_a_client_that_sends_no_request_in_time(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, "GET /hello HTTP/1.1\r\nHost:");
	assert_int_equal(http_server_num_conns(pages->server), 1);
	clock_fake_advance(&pages->clock, 5100);
	assert_string_equal(test_pages_end(pages, fd), "");
	assert_int_equal(http_server_num_conns(pages->server), 0);
}

static void closes_a_client_that_does_not_read_in_time(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/large"));
	assert_int_equal(http_server_num_conns(pages->server), 1);
	clock_fake_advance(&pages->clock, 10100);
	test_pages_turn(pages);
	assert_int_equal(http_server_num_conns(pages->server), 0);
}

static void the_heading_is_what_a_browser_must_respect(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/hello?you"));
	const char *answer = test_pages_end(pages, fd);
	assert_non_null(strstr(answer, "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n")); /* of the clock */
	assert_non_null(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
	assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	assert_null(strstr(answer, "Allow:"));
}

static void each_status_has_its_words(void **state)
{
	static const struct {
		unsigned status;
		const char *line;
	} rows[] = {{200, "HTTP/1.1 200 OK\r\n"}, {400, "HTTP/1.1 400 Bad Request\r\n"},
		{403, "HTTP/1.1 403 Forbidden\r\n"}, {404, "HTTP/1.1 404 Not Found\r\n"},
		{405, "HTTP/1.1 405 Method Not Allowed\r\n"}, {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
		{500, "HTTP/1.1 500 Internal Server Error\r\n"}, {503, "HTTP/1.1 503 Service Unavailable\r\n"},
		{505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"}};
	struct test_pages *pages = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/later"));
		http_answer(TAKE_PTR(pages->held), rows[i].status, HTTP_TEXT, SPAN_LITERAL("x"));
		const char *answer = test_pages_end(pages, fd);
		assert_ptr_equal(strstr(answer, rows[i].line), answer);
	}
}

static void what_is_no_request_is_answered_without_its_page(void **state)
{
	static const struct {
		const char *request, *status;
	} rows[] = {{"hello\r\n\r\n", "HTTP/1.1 400 "}, {"GET /later HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"GET /later HTTP/1.1\r\nHost: example.org\r\n\r\n", "HTTP/1.1 403 "},
		{"GET /nowhere HTTP/1.1\r\nHost: example.org\r\n\r\n", "HTTP/1.1 403 "},
		{"GET /public HTTP/1.1\r\nHost: example.org\r\n\r\n", "HTTP/1.1 200 "},
		{"GET /public HTTP/1.1\r\nHost: example.org/\r\n\r\n", "HTTP/1.1 403 "},
		{"GET /later HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", "HTTP/1.1 505 "}};
	struct test_pages *pages = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_fd_ int fd = test_pages_begin(pages, rows[i].request);
		const char *answer = test_pages_end(pages, fd);
		assert_non_null(answer);
		assert_ptr_equal(strstr(answer, rows[i].status), answer);
		assert_null(pages->held);
	}
}

static void a_request_beyond_8_kib_is_431(void **state)
{
	struct test_pages *pages = *state;
	static char request[10000] = "GET /later HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ";
	memset(request + strlen(request), 'a', sizeof request - 1 - strlen(request));
	_cleanup_fd_ int fd = test_pages_begin(pages, request);
	const char *answer = test_pages_end(pages, fd);
	assert_non_null(answer);
	assert_ptr_equal(strstr(answer, "HTTP/1.1 431 "), answer);
	assert_null(pages->held);
}

/* Bytes behind the request, such as a second one, would reset the connection and lose the answer. */
static void what_follows_the_request_is_read_and_dropped(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/hello?one") TEST_GET("/hello?two"));
	assert_int_equal(write(fd, TEST_GET("/hello?three"), strlen(TEST_GET("/hello?three"))),
		strlen(TEST_GET("/hello?three")));
	const char *answer = test_pages_end(pages, fd);
	assert_non_null(strstr(answer, "\r\n\r\none"));
	assert_null(strstr(answer, "two"));
	assert_null(strstr(answer, "three"));
	assert_int_equal(http_server_num_conns(pages->server), 1); /* until the client has read it, for a second */
	clock_fake_advance(&pages->clock, 1100);
	test_pages_turn(pages);
	assert_int_equal(http_server_num_conns(pages->server), 0);
}

static void the_address_of_a_client_that_is_gone_is_not_there(void **state)
{
	struct test_pages *pages = *state;
	struct addr local = {0};
	int fd = test_pages_begin(pages, TEST_GET("/later?a=b"));
	assert_string_equal(http_request_query(pages->held), "a=b");
	assert_int_equal(http_request_local(pages->held, &local), ERR_NONE);
	assert_int_equal(local.port, pages->at.port);
	clock_fake_advance(&pages->clock, 10100); /* the page timed out */
	test_pages_turn(pages);
	assert_int_equal(http_request_local(pages->held, &local), ERR_CLOSED);
	assert_string_equal(http_request_path(pages->held), "/later");
	fd_close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_pages_set_up, test_pages_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_page_is_answered_and_the_connection_closed),
		TEST(head_gets_no_body),
		TEST(a_page_may_be_answered_later),
		TEST(responds_503_to_a_late_answer),
		TEST(a_stream_goes_on_until_the_client_is_gone),
		TEST(D40_a_client_that_does_not_read_a_stream_is_cut_off),
		TEST(head_of_a_stream_ends),
		TEST(drops_the_answer_for_a_disconnected_client),
		TEST(closes_a_client_that_sends_no_request_in_time),
		TEST(closes_a_client_that_does_not_read_in_time),
		TEST(the_heading_is_what_a_browser_must_respect),
		TEST(each_status_has_its_words),
		TEST(what_is_no_request_is_answered_without_its_page),
		TEST(a_request_beyond_8_kib_is_431),
		TEST(what_follows_the_request_is_read_and_dropped),
		TEST(the_address_of_a_client_that_is_gone_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
