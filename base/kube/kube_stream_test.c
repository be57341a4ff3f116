#include "base/core/mem.h"
#include "base/kube/test_client.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { H2_REFUSED_STREAM = 7, H2_INTERNAL_ERROR = 2 };

static void what_the_server_did_not_begin_is_sent_again(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	test_client_get(test, "/a", &outcome);
	test_reset(test_server_await(&test->server, 1), H2_REFUSED_STREAM);
	test_answer(test_server_await(&test->server, 2), "200", "");
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.status, 200);
}

static void a_reset_ends_the_request(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	test_client_get(test, "/a", &outcome);
	test_reset(test_server_await(&test->server, 1), H2_INTERNAL_ERROR);
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_RESET);
	assert_non_null(strstr(outcome.detail.got, "INTERNAL_ERROR"));
}

static void write_token(struct test_client *test, const char *text)
{
	assert_int_equal(fd_write_file(test->token_file, span_of_str(text), 0600, NULL), ERR_NONE);
}

static void a_token_file_is_read_anew_after_a_401(void **state)
{
	struct test_client *test = *state;
	snprintf(test->token_file, sizeof(test->token_file), "/tmp/handfast-kube-token-%d", getpid());
	write_token(test, "first\n");
	kube_client_free(test->client);
	test->server.config.token_file = mem_strdup(test->token_file);
	test->client = kube_client_new(test->server.loop, &test->server.config);
	struct test_result outcome = {0}, refused = {0};
	test_client_get(test, "/a", &outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	assert_string_equal(request->authorization, "Bearer first");
	write_token(test, "second\n");
	test_answer(request, "401", "Unauthorized");
	request = test_server_await(&test->server, 2);
	assert_string_equal(request->authorization, "Bearer second");
	test_answer(request, "200", "");
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.status, 200);
	test_client_get(test, "/b", &refused); /* the file has no other token: the caller gets the 401 */
	test_answer(test_server_await(&test->server, 3), "401", "Unauthorized");
	assert_true(test_client_await(test, &refused));
	assert_int_equal(refused.status, 401);
}

static void reports_when_to_come_back(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	test_client_get(test, "/a", &outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "429", "retry-after", "7");
	test_end(request);
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.status, 429);
	assert_int_equal(outcome.retry_after_s, 7);
}

/* Three times in all; then the caller gets the failure. */
static void what_the_server_never_begins_is_given_up(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	test_client_get(test, "/a", &outcome);
	for (size_t i = 1; i <= 3; i++) {
		assert_int_equal(outcome.num_dones, 0);
		test_reset(test_server_await(&test->server, i), H2_REFUSED_STREAM);
	}
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_RESET);
	assert_string_equal(outcome.detail.got, "the API server reset the stream: REFUSED_STREAM");
	assert_string_equal(outcome.detail.expected, "a whole answer");
	assert_string_equal(outcome.detail.fix, "see the API server's log");
	assert_int_equal(test->server.num_requests, 3);
}

/* Part of it came: it is not asked for again, though the server reports that it did not begin. */
static void an_answer_that_is_cut_is_not_asked_for_again(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	test_client_get(test, "/a", &outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, "half");
	test_server_settle(&test->server);
	test_reset(request, H2_REFUSED_STREAM);
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_RESET);
	assert_int_equal(test->server.num_requests, 1);
}

/* Seconds, at most 300; a date is none. */
static void a_time_to_come_back_is_limited(void **state)
{
	static const struct {
		const char *value;
		uint32_t seconds;
	} rows[] = {{"0", 0}, {"300", 300}, {"301", 300}, {"99999999999999999999", 300}, {"-1", 0}, {"1.5", 0},
		{"Fri, 15 Jan 2027 08:00:00 GMT", 0}};
	struct test_client *test = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct test_result outcome = {0};
		test_client_get(test, "/a", &outcome);
		struct test_request *request = test_server_await(&test->server, i + 1);
		test_answer_begin(request, "503", "retry-after", rows[i].value);
		test_end(request);
		assert_true(test_client_await(test, &outcome));
		assert_int_equal(outcome.status, 503);
		assert_int_equal(outcome.retry_after_s, rows[i].seconds);
	}
}

/* Longer than every window: each end gives credit for what it took. */
static void bodies_longer_than_the_windows_pass(void **state)
{
	enum { LEN = 1024 * 1024 };
	struct test_client *test = *state;
	struct test_result outcome = {0};
	_cleanup_(mem_freep) char *bytes = mem_alloc(LEN);
	memset(bytes, 'a', LEN);
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "POST", .path = "/a", .body = span_of(bytes, LEN)},
		test_result_take, &outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	assert_int_equal(buf_len(&request->stream.received), LEN);
	test_answer_begin(request, "200", NULL, NULL);
	test_send(request, span_of(bytes, LEN));
	test_end(request);
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_NONE);
	assert_int_equal(outcome.body_len, LEN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_client_set_up, test_client_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_the_server_did_not_begin_is_sent_again),
		CASE(a_reset_ends_the_request),
		CASE(a_token_file_is_read_anew_after_a_401),
		CASE(reports_when_to_come_back),
		CASE(what_the_server_never_begins_is_given_up),
		CASE(an_answer_that_is_cut_is_not_asked_for_again),
		CASE(a_time_to_come_back_is_limited),
		CASE(bodies_longer_than_the_windows_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
