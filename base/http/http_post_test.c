#include "base/http/http_post.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEAD "POST /inject?timeout=5s HTTP/1.1\r\nHost: webhook.svc:443\r\nContent-Type: application/json\r\n"

struct fixture {
	struct http_post *post;
	struct buf body;
};

static void on_body(void *arg, struct span bytes)
{
	struct fixture *fixture = arg;
	assert_string_equal(http_post_path(fixture->post), "/inject");
	CHECK(buf_append(&fixture->body, bytes) == ERR_NONE);
}

static void init(struct fixture *fixture)
{
	*fixture = (struct fixture){.body = BUF_INIT(1 << 20)};
	fixture->post = http_post_new(on_body, fixture);
}

static void done(struct fixture *fixture)
{
	http_post_free(fixture->post);
	buf_done(&fixture->body);
}

/* The text in pieces of `piece` bytes: 0 MORE, 200 COMPLETE, else the fault's status. */
static unsigned status_of(struct fixture *fixture, const char *text, size_t piece)
{
	for (struct span left = span_of_str(text); left.len > 0;) {
		struct span part = span_of(left.ptr, left.len < piece ? left.len : piece);
		enum http_post_result result = http_post_feed(fixture->post, part);
		left = span_from(left, part.len);
		if (result == HTTP_POST_BAD)
			return http_post_fault(fixture->post).status;
		if (result == HTTP_POST_COMPLETE)
			return 200;
	}
	return 0;
}

static unsigned status_of_new(const char *text)
{
	struct fixture fixture;
	init(&fixture);
	unsigned status = status_of(&fixture, text, 4096);
	done(&fixture);
	return status;
}

static void reads_a_body_whole_and_byte_by_byte(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= 4096; piece *= 4) {
		struct fixture fixture;
		init(&fixture);
		assert_int_equal(status_of(&fixture, HEAD "Content-Length: 7\r\n\r\n{\"a\":1}", piece), 200);
		assert_string_equal(buf_cstr(&fixture.body), "{\"a\":1}");
		assert_true(http_post_is_kept_alive(fixture.post));
		done(&fixture);
	}
}

static void reads_a_body_in_chunks(void **state)
{
	(void)state;
	struct fixture fixture;
	init(&fixture);
	assert_int_equal(
		status_of(&fixture, HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 5), 200);
	assert_string_equal(buf_cstr(&fixture.body), "abcde");
	done(&fixture);
}

static void ends_the_connection_where_the_client_wants_that(void **state)
{
	(void)state;
	struct fixture fixture;
	init(&fixture);
	assert_int_equal(status_of(&fixture, HEAD "Connection: close\r\nContent-Length: 1\r\n\r\nx", 4096), 200);
	assert_false(http_post_is_kept_alive(fixture.post));
	done(&fixture);
}

static void an_incomplete_request_waits(void **state)
{
	(void)state;
	assert_int_equal(status_of_new(HEAD), 0);
	assert_int_equal(status_of_new(HEAD "Content-Length: 2\r\n\r\nx"), 0);
}

static void refuses_what_is_no_post_of_http_1_1(void **state)
{
	(void)state;
	assert_int_equal(status_of_new("GET /inject HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
	assert_int_equal(status_of_new("POST /inject HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"), 505);
	assert_int_equal(status_of_new("POST inject HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(status_of_new("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400);
	assert_int_equal(status_of_new("{}\r\n\r\n"), 400);
	assert_int_equal(status_of_new(HEAD "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 400);
}

/* Request smuggling: two lengths leave open where the body ends. */
static void refuses_two_lengths(void **state)
{
	(void)state;
	assert_int_equal(status_of_new(HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), 400);
	assert_int_equal(status_of_new(HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

static void refuses_a_second_request_before_the_answer(void **state)
{
	(void)state;
	assert_int_equal(status_of_new(HEAD "Content-Length: 1\r\n\r\nx" HEAD), 400);
}

static void a_head_is_bounded(void **state)
{
	(void)state;
	struct buf text = BUF_INIT(2 * HTTP_HEAD_MAX);
	CHECK(buf_append_str(&text, HEAD "X: ") == ERR_NONE);
	while (buf_len(&text) < HTTP_HEAD_MAX + 100)
		CHECK(buf_append_str(&text, "x") == ERR_NONE);
	assert_int_equal(status_of_new(buf_cstr(&text)), 431);
	buf_clear(&text);
	CHECK(buf_append_str(&text, "POST /") == ERR_NONE);
	while (buf_len(&text) < HTTP_PATH_MAX + 100)
		CHECK(buf_append_str(&text, "x") == ERR_NONE);
	assert_int_equal(status_of_new(buf_cstr(&text)), 431);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_body_whole_and_byte_by_byte),
		cmocka_unit_test(reads_a_body_in_chunks),
		cmocka_unit_test(ends_the_connection_where_the_client_wants_that),
		cmocka_unit_test(an_incomplete_request_waits),
		cmocka_unit_test(refuses_what_is_no_post_of_http_1_1),
		cmocka_unit_test(refuses_two_lengths),
		cmocka_unit_test(refuses_a_second_request_before_the_answer),
		cmocka_unit_test(a_head_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
