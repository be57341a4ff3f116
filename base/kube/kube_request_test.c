#include "base/kube/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void a_request_gets_its_answer(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	struct kube_request_options options = {.method = "POST",
		.path = "/apis/authentication.k8s.io/v1/tokenreviews",
		.body = SPAN_LITERAL("{\"spec\":{}}")};
	kube_request_start(test->client, &options, test_result_take, &outcome);
	assert_int_equal(outcome.num_dones, 0);
	struct test_request *request = test_server_await(&test->server, 1);
	assert_string_equal(request->method, "POST");
	assert_string_equal(request->path, "/apis/authentication.k8s.io/v1/tokenreviews");
	assert_string_equal(request->content_type, "application/json");
	assert_string_equal(request->accept, "application/json");
	assert_string_equal(request->authorization, "");
	assert_true(span_eq(buf_span(&request->stream.received), options.body));
	test_answer(request, "201", "{\"status\":{}}");
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_NONE);
	assert_int_equal(outcome.status, 201);
	assert_string_equal(outcome.body, "{\"status\":{}}");
}

static void a_request_that_is_canceled_calls_nothing(void **state)
{
	struct test_client *test = *state;
	struct test_result before = {0}, after = {0};
	kube_request_cancel(test_client_get(test, "/before", &before));
	struct kube_request *request = test_client_get(test, "/after", &after);
	struct test_request *seen = test_server_await(&test->server, 1);
	assert_string_equal(seen->path, "/after");
	kube_request_cancel(request);
	assert_true(test_server_run(&test->server, seen->stream.is_closed));
	assert_int_equal(before.num_dones + after.num_dones, 0);
}

static void an_answer_beyond_the_limit_ends_the_request(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .response_max = 4}, test_result_take,
		&outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, "12345");
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_TOO_LARGE);
	assert_true(test_server_run(&test->server, request->stream.is_closed));
}

static void a_request_without_an_answer_times_out(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .timeout_ms = 500}, test_result_take,
		&outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	test_server_pass(&test->server, 400);
	assert_int_equal(outcome.num_dones, 0);
	test_server_pass(&test->server, 200);
	assert_int_equal(outcome.err, ERR_TIMEOUT);
	assert_true(test_server_run(&test->server, request->stream.is_closed));
}

static void an_answer_of_the_limit_is_taken(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .response_max = 4}, test_result_take,
		&outcome);
	test_answer(test_server_await(&test->server, 1), "200", "1234");
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_NONE);
	assert_string_equal(outcome.body, "1234");
}

static void what_ends_a_request_is_explained(void **state)
{
	struct test_client *test = *state;
	struct test_result late = {0}, large = {0};
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/late", .timeout_ms = 100}, test_result_take,
		&late);
	test_server_await(&test->server, 1);
	test_server_pass(&test->server, 150);
	assert_string_equal(late.detail.got, "the API server did not answer in time");
	assert_string_equal(late.detail.expected, "an answer in time");
	assert_string_equal(late.detail.fix, "check the API server and the network to it");
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/large", .response_max = 4}, test_result_take,
		&large);
	test_answer(test_server_await(&test->server, 2), "200", "12345");
	assert_true(test_client_await(test, &large));
	assert_string_equal(large.detail.got, "the API server's answer is longer than 4 bytes");
	assert_string_equal(large.detail.expected, "an answer within the limit");
	assert_string_equal(large.detail.fix, "ask for less at once");
}

/* The time is that of the whole answer: one that trickles is not waited for. */
static void an_answer_that_stops_halfway_times_out(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .timeout_ms = 500}, test_result_take,
		&outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	for (int i = 0; i < 4; i++) {
		test_send_text(request, "half");
		test_server_pass(&test->server, 100);
	}
	assert_int_equal(outcome.num_dones, 0);
	test_server_pass(&test->server, 200);
	assert_int_equal(outcome.num_dones, 1);
	assert_int_equal(outcome.err, ERR_TIMEOUT);
	assert_int_equal(outcome.status, 0); /* what came is no answer */
}

static void one_that_waits_for_a_connection_times_out_as_well(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	test->server.is_mute = true;
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .timeout_ms = 500}, test_result_take,
		&outcome);
	assert_true(test_server_run(&test->server, test->server.num_accepted == 1));
	test_server_pass(&test->server, 600);
	assert_int_equal(outcome.num_dones, 1);
	assert_int_equal(outcome.err, ERR_TIMEOUT);
}

static void a_request_has_the_types_that_it_was_given(void **state)
{
	struct test_client *test = *state;
	struct test_result with_body = {0}, without = {0};
	struct kube_request_options options = {.method = "PATCH",
		.path = "/a",
		.content_type = "application/merge-patch+json",
		.accept = "text/plain",
		.body = SPAN_LITERAL("{}")};
	kube_request_start(test->client, &options, test_result_take, &with_body);
	const struct test_request *request = test_server_await(&test->server, 1);
	assert_string_equal(request->content_type, "application/merge-patch+json");
	assert_string_equal(request->accept, "text/plain");
	options.body = (struct span){0};
	kube_request_start(test->client, &options, test_result_take, &without);
	assert_string_equal(test_server_await(&test->server, 2)->content_type, ""); /* a type of nothing */
}

static void the_client_may_end_within_an_answer(void **state)
{
	struct test_client *test = *state;
	struct test_result outcome = {0};
	test_client_get(test, "/", &outcome);
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, "half");
	test_server_settle(&test->server);
	kube_client_free(TAKE_PTR(test->client));
	test_server_pass(&test->server, 11000);
	assert_int_equal(outcome.num_dones, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_client_set_up, test_client_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_request_gets_its_answer),
		CASE(a_request_that_is_canceled_calls_nothing),
		CASE(an_answer_beyond_the_limit_ends_the_request),
		CASE(a_request_without_an_answer_times_out),
		CASE(an_answer_of_the_limit_is_taken),
		CASE(what_ends_a_request_is_explained),
		CASE(an_answer_that_stops_halfway_times_out),
		CASE(one_that_waits_for_a_connection_times_out_as_well),
		CASE(a_request_has_the_types_that_it_was_given),
		CASE(the_client_may_end_within_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
