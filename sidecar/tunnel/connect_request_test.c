#include "sidecar/tunnel/connect_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define HEADER(name, value)                                                                                            \
	{                                                                                                              \
		SPAN_LITERAL(name), SPAN_LITERAL(value)                                                                \
	}

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static void reads_back_what_it_writes_for_both_families(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"192.0.2.1:80", "10.1.2.3:45678"}, {"[2001:db8::1]:65535", "[::1]:1"}};
	for (size_t i = 0; i < 2; i++) {
		struct connect_request request = {addr_of(pairs[i][0]), addr_of(pairs[i][1])}, parsed;
		struct connect_text text;
		struct h2_header headers[CONNECT_HEADERS];
		assert_int_equal(connect_request_encode(&request, &text, headers), 3);
		assert_true(span_eq(headers[1].value, span_of_str(pairs[i][0])));
		assert_false(headers[1].is_unique);
		assert_true(headers[2].is_unique); /* a port per connection would fill the HPACK table */
		assert_int_equal(connect_request_parse(headers, 3, &parsed, NULL), ERR_NONE);
		assert_true(addr_eq(&parsed.authority, &request.authority));
		assert_true(addr_eq(&parsed.forwarded, &request.forwarded));
	}
}

static void sends_no_source_that_is_unknown(void **state)
{
	(void)state;
	struct connect_request request = {.authority = addr_of("192.0.2.1:80")}, parsed;
	struct connect_text text;
	struct h2_header headers[CONNECT_HEADERS];
	assert_int_equal(connect_request_encode(&request, &text, headers), 2);
	assert_int_equal(connect_request_parse(headers, 2, &parsed, NULL), ERR_NONE);
	assert_int_equal(parsed.forwarded.ip.family, 0);
}

static void D32_unwraps_a_v4_mapped_authority_so_that_no_check_is_dodged(void **state)
{
	(void)state;
	const struct h2_header headers[] = {
		HEADER(":method", "CONNECT"), HEADER(":authority", "[::ffff:127.0.0.1]:80")};
	struct connect_request parsed;
	if (connect_request_parse(headers, 2, &parsed, NULL) == ERR_NONE)
		assert_true(ip_addr_is_loopback(&parsed.authority.ip) && parsed.authority.ip.family == AF_INET);
}

static void T2_refuses_what_is_no_plain_connect(void **state)
{
	(void)state;
	static const struct {
		struct h2_header headers[4];
		size_t num;
	} bad[] = {
		{{HEADER(":method", "CONNECT")}, 1},
		{{HEADER(":authority", "192.0.2.1:80")}, 1},
		{{HEADER(":method", "connect"), HEADER(":authority", "192.0.2.1:80")}, 2},
		{{HEADER(":method", "GET"), HEADER(":authority", "192.0.2.1:80")}, 2},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1:80"), HEADER(":path", "/")}, 3},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1:80"), HEADER(":scheme", "https")}, 3},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1:80"), HEADER(":protocol", "websocket")},
			3},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1:80"),
			 HEADER(":authority", "192.0.2.1:80")},
			3},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", "name.example:80")}, 2},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1")}, 2},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", "")}, 2},
		{{HEADER(":method", "CONNECT"), HEADER(":authority", " 192.0.2.1:80")}, 2},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct connect_request parsed;
		struct why why = {0};
		assert_int_equal(connect_request_parse(bad[i].headers, bad[i].num, &parsed, &why), ERR_MALFORMED);
		assert_string_not_equal(why.got, "");
	}
}

static void takes_a_strange_forwarded_for_absent(void **state)
{
	(void)state;
	static const char *const odd[] = {
		"", "for=", "for=\"", "for=\"x\"", "for=1.2.3.4:80", "for=\"1.2.3.4:80", "by=\"1.2.3.4:80\""};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		const struct h2_header headers[] = {HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1:80"),
			{SPAN_LITERAL("forwarded"), span_of_str(odd[i])}};
		struct connect_request parsed;
		assert_int_equal(connect_request_parse(headers, 3, &parsed, NULL), ERR_NONE);
		assert_int_equal(parsed.forwarded.ip.family, 0);
	}
}

static void reads_back_an_answer_and_makes_its_reason_safe_to_show(void **state)
{
	(void)state;
	char status_text[4];
	struct h2_header headers[ANSWER_HEADERS];
	struct connect_answer answer;
	assert_int_equal(connect_answer_encode(401, "denied", status_text, headers), 2);
	connect_answer_parse(headers, 2, &answer);
	assert_int_equal(answer.status, 401);
	assert_string_equal(answer.reason, "denied");
	headers[1].value = SPAN_LITERAL("a\nb");
	connect_answer_parse(headers, 2, &answer);
	assert_null(strchr(answer.reason, '\n'));
	headers[0].value = SPAN_LITERAL("20x");
	connect_answer_parse(headers, 1, &answer);
	assert_int_equal(answer.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_it_writes_for_both_families),
		cmocka_unit_test(sends_no_source_that_is_unknown),
		cmocka_unit_test(D32_unwraps_a_v4_mapped_authority_so_that_no_check_is_dodged),
		cmocka_unit_test(T2_refuses_what_is_no_plain_connect),
		cmocka_unit_test(takes_a_strange_forwarded_for_absent),
		cmocka_unit_test(reads_back_an_answer_and_makes_its_reason_safe_to_show),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
