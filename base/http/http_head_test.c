#include "base/http/http_head.h"

#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

DEFINE_CLEANUP(struct http_head *, http_head_free)
#define OWNED _cleanup_(http_head_freep)

static unsigned status_of(const char *text)
{
	OWNED struct http_head *head = http_head_new();
	switch (http_head_feed(head, span_of_str(text))) {
	case HTTP_HEAD_MORE:
		return 0;
	case HTTP_HEAD_OK:
		return 200;
	case HTTP_HEAD_BAD:
		return http_head_fault(head).status;
	}
	return 1;
}

static void reads_path_and_query_of_a_get(void **state)
{
	(void)state;
	OWNED struct http_head *head = http_head_new();
	const char *text = "GET /connections?limit=5&x HTTP/1.1\r\nHost: 127.0.0.1:15000\r\nAccept: */*\r\n\r\n";
	assert_int_equal(http_head_feed(head, span_of_str(text)), HTTP_HEAD_OK);
	assert_string_equal(http_head_path(head), "/connections");
	assert_string_equal(http_head_query(head), "limit=5&x");
	assert_false(http_head_is_head(head));
}

static void accepts_a_request_byte_by_byte(void **state)
{
	(void)state;
	OWNED struct http_head *head = http_head_new();
	const char *text = "HEAD /why HTTP/1.1\r\nUser-Agent: x\r\nhOST: localhost\r\n\r\n";
	for (const char *at = text; at[1] != '\0'; at++)
		assert_int_equal(http_head_feed(head, span_of(at, 1)), HTTP_HEAD_MORE);
	assert_int_equal(http_head_feed(head, SPAN_LITERAL("\n")), HTTP_HEAD_OK);
	assert_string_equal(http_head_path(head), "/why");
	assert_string_equal(http_head_query(head), "");
	assert_true(http_head_is_head(head));
}

static bool has_bearer(const char *lines, const char *expected)
{
	OWNED struct http_head *head = http_head_new();
	_cleanup_(mem_freep) char *text = mem_printf("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", lines);
	for (const char *at = text; at[1] != '\0'; at++)
		assert_int_equal(http_head_feed(head, span_of(at, 1)), HTTP_HEAD_MORE);
	assert_int_equal(http_head_feed(head, SPAN_LITERAL("\n")), HTTP_HEAD_OK);
	return span_eq(http_head_bearer(head), span_of_str(expected));
}

static void a_bearer_token_is_what_follows_its_scheme(void **state)
{
	(void)state;
	assert_true(has_bearer("authorization: Bearer abc.def\r\n", "abc.def"));
	assert_true(has_bearer("AUTHORIZATION: bearer x\r\n", "x"));
	assert_true(has_bearer("", ""));
	assert_true(has_bearer("Authorization: Basic abc\r\n", ""));
	assert_true(has_bearer("Authorization: Bearerabc\r\n", ""));
	assert_true(has_bearer("Authorization: Bearer \r\n", ""));
	assert_true(has_bearer("X-Authorization: Bearer abc\r\n", ""));
	assert_int_equal(
		status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer "
			  "b\r\n\r\n"),
		400);
	_cleanup_(mem_freep) char *text =
		mem_printf("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %0600d\r\n\r\n", 1);
	assert_int_equal(status_of(text), 400);
}

static void bytes_after_the_request_are_ignored(void **state)
{
	(void)state;
	OWNED struct http_head *head = http_head_new();
	const char *text = "GET /a HTTP/1.1\r\nHost: 1.2.3.4\r\n\r\nPOST /b HTTP/1.1\r\nHost: evil\r\n\r\n";
	assert_int_equal(http_head_feed(head, span_of_str(text)), HTTP_HEAD_OK);
	assert_string_equal(http_head_path(head), "/a");
}

static void D36_methods_that_change_state_are_405(void **state)
{
	(void)state;
	assert_int_equal(status_of("POST /quit HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 405);
	assert_int_equal(status_of("PUT /a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello"), 405);
	assert_int_equal(status_of("DELETE /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 405);
	assert_int_equal(status_of("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 405);
	assert_int_equal(status_of("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 405);
}

static void D36_a_host_name_is_403(void **state)
{
	(void)state;
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 403);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n"), 403);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example:15000\r\n\r\n"), 403);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 403);
	assert_int_equal(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"), 400);
	assert_int_equal(status_of("GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 403);
	assert_int_equal(status_of("GET http:///a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 403);
	assert_int_equal(status_of("GET http://evil.example/ HTTP/1.0\r\n\r\n"), 403);
	assert_int_equal(status_of("GET / HTTP/1.0\r\nHost:\r\n\r\n"), 403);
	assert_int_equal(status_of("GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n"), 403);
}

static void a_name_is_marked_where_names_are_taken(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool has_name;
	} taken[] = {{"db.example:15020", true}, {"db", true}, {"DB_1.example.", true},
		{"127.0.0.1.evil.example", true}, {"127.0.0.1:15020", false}, {"[::1]", false}, {"localhost:1", false}};
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
		OWNED struct http_head *head = http_head_new_with_names();
		_cleanup_(mem_freep) char *text = mem_printf("GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", taken[i].host);
		assert_int_equal(http_head_feed(head, span_of_str(text)), HTTP_HEAD_OK);
		assert_int_equal(http_head_has_name(head), taken[i].has_name);
	}
	static const char *const wrong[] = {
		"", ".", ":80", "a b", "a/b", "a@b", "a:", "a:x", "a:123456", "a:1:2", "<a>"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		OWNED struct http_head *head = http_head_new_with_names();
		_cleanup_(mem_freep) char *text = mem_printf("GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", wrong[i]);
		assert_int_equal(http_head_feed(head, span_of_str(text)), HTTP_HEAD_BAD);
		assert_int_equal(http_head_fault(head).status, 403);
	}
}

static void an_absolute_target_has_a_host_and_a_path(void **state)
{
	(void)state;
	static const char *const targets[] = {
		"http://127.0.0.1:15020/a?b", "HTTP://localhost/a?b", "https://[::1]/a?b"};
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		OWNED struct http_head *head = http_head_new();
		_cleanup_(mem_freep) char *text = mem_printf("GET %s HTTP/1.1\r\nHost: other\r\n\r\n", targets[i]);
		assert_int_equal(http_head_feed(head, span_of_str(text)), HTTP_HEAD_OK);
		assert_string_equal(http_head_path(head), "/a");
		assert_string_equal(http_head_query(head), "b");
	}
	assert_int_equal(status_of("GET http://127.0.0.1/ HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(status_of("GET http://127.0.0.1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 400);
	assert_int_equal(status_of("GET ftp://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 400);
}

static void a_request_of_http_1_0_needs_no_host(void **state)
{
	(void)state;
	assert_int_equal(status_of("GET /healthz/ready HTTP/1.0\r\n\r\n"), 200);
	assert_int_equal(status_of("GET /healthz/ready HTTP/1.1\r\n\r\n"), 400);
}

static void spaces_where_proxies_disagree_are_refused(void **state)
{
	(void)state;
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A : b\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX A: b\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\n c\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\n\tc\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost:\r\n 127.0.0.1\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\n X-A: b\r\nHost: 127.0.0.1\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b c\t d \r\n\r\n"), 200);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 6\r\n\r\na\n b\n"), 200);
}

static void a_folded_line_is_found_byte_by_byte(void **state)
{
	(void)state;
	OWNED struct http_head *head = http_head_new();
	const char *text = "GET / HTTP/1.1\r\nX-A: b\r\n ";
	for (const char *at = text; at[1] != '\0'; at++)
		assert_int_equal(http_head_feed(head, span_of(at, 1)), HTTP_HEAD_MORE);
	assert_int_equal(http_head_feed(head, SPAN_LITERAL(" ")), HTTP_HEAD_BAD);
}

static void a_body_of_an_unknown_coding_is_refused(void **state)
{
	(void)state;
	const char *const good[] = {"chunked", "Chunked"};
	const char *const bad[] = {"xchunked", "gzip", "chunked, gzip", "chunked\r\nTransfer-Encoding: chunked",
		"identity-and-more-than-fits-into-32-bytes"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good) + sizeof(bad) / sizeof(*bad); i++) {
		bool is_good = i < sizeof(good) / sizeof(*good);
		const char *coding = is_good ? good[i] : bad[i - sizeof(good) / sizeof(*good)];
		_cleanup_(mem_freep) char *text =
			mem_printf("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: %s\r\n\r\n", coding);
		assert_int_equal(status_of(text), is_good ? 200 : 400);
	}
}

static void each_status_has_its_text(void **state)
{
	(void)state;
	assert_string_equal(http_status_text(405), "Method Not Allowed");
	assert_string_equal(http_status_text(414), "URI Too Long");
	assert_string_equal(http_status_text(400), "Bad Request");
	assert_string_equal(http_status_text(500), "Internal Server Error");
}

static void only_addresses_and_localhost_are_safe_hosts(void **state)
{
	(void)state;
	const char *const safe[] = {"127.0.0.1", "127.0.0.1:15000", "10.1.2.3:15020", "[::1]", "[::1]:15000",
		"localhost", "localhost:15000"};
	const char *const unsafe[] = {"", "a", "localhosts", "localhost:", "localhost:x", "localhost:1234567",
		"LOCALHOST.x", "[::1", "[]", "1.2.3.4.5", "0x7f.1", "127.1", "127.0.0.1@evil", "[evil]"};
	for (size_t i = 0; i < sizeof(safe) / sizeof(*safe); i++)
		assert_true(http_host_is_safe(span_of_str(safe[i])));
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(*unsafe); i++)
		assert_false(http_host_is_safe(span_of_str(unsafe[i])));
}

static void input_other_than_http_1_is_refused(void **state)
{
	(void)state;
	assert_int_equal(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400);
	assert_int_equal(status_of("\x16\x03\x01\x02\x00\x01"), 400);
	assert_int_equal(status_of("GET\r\n\r\n"), 400);
	assert_int_equal(status_of("GET / HTTP/1.1\r\nHo st: a\r\n\r\n"), 400);
}

static void an_endless_request_is_431(void **state)
{
	(void)state;
	OWNED struct http_head *head = http_head_new();
	assert_int_equal(http_head_feed(head, SPAN_LITERAL("GET / HTTP/1.1\r\n")), HTTP_HEAD_MORE);
	enum http_head_result result = HTTP_HEAD_MORE;
	unsigned num = 0;
	for (; result == HTTP_HEAD_MORE; num++)
		result = http_head_feed(head, SPAN_LITERAL("X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"));
	assert_int_equal(result, HTTP_HEAD_BAD);
	assert_int_equal(http_head_fault(head).status, 431);
	assert_in_range(num, 100, HTTP_HEAD_MAX / 54 + 1);
}

static void a_path_or_host_that_is_too_long_is_refused(void **state)
{
	(void)state;
	char text[4096], many[2048];
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\n", many);
	assert_int_equal(status_of(text), 414);
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", many);
	assert_int_equal(status_of(text), 400);
}

static void where_the_name_is_the_certificates_any_host_is_accepted(void **state)
{
	(void)state;
	static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: bundle.example\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"};
	for (size_t i = 0; i < 2; i++) {
		OWNED struct http_head *head = http_head_new_any_host();
		assert_int_equal(http_head_feed(head, span_of_str(texts[i])), HTTP_HEAD_OK);
		assert_string_equal(http_head_path(head), "/");
	}
	OWNED struct http_head *head = http_head_new_any_host();
	assert_int_equal(http_head_feed(head, SPAN_LITERAL("POST / HTTP/1.1\r\n\r\n")), HTTP_HEAD_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_path_and_query_of_a_get),
		cmocka_unit_test(accepts_a_request_byte_by_byte),
		cmocka_unit_test(a_bearer_token_is_what_follows_its_scheme),
		cmocka_unit_test(bytes_after_the_request_are_ignored),
		cmocka_unit_test(D36_methods_that_change_state_are_405),
		cmocka_unit_test(D36_a_host_name_is_403),
		cmocka_unit_test(a_name_is_marked_where_names_are_taken),
		cmocka_unit_test(each_status_has_its_text),
		cmocka_unit_test(only_addresses_and_localhost_are_safe_hosts),
		cmocka_unit_test(an_absolute_target_has_a_host_and_a_path),
		cmocka_unit_test(a_request_of_http_1_0_needs_no_host),
		cmocka_unit_test(spaces_where_proxies_disagree_are_refused),
		cmocka_unit_test(a_folded_line_is_found_byte_by_byte),
		cmocka_unit_test(a_body_of_an_unknown_coding_is_refused),
		cmocka_unit_test(where_the_name_is_the_certificates_any_host_is_accepted),
		cmocka_unit_test(input_other_than_http_1_is_refused),
		cmocka_unit_test(an_endless_request_is_431),
		cmocka_unit_test(a_path_or_host_that_is_too_long_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
