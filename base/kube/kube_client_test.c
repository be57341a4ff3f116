#include "base/kube/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void requests_share_one_connection(void **state)
{
	struct test_client *test = *state;
	struct test_result first = {0}, second = {0};
	test_client_get(test, "/a", &first);
	test_client_get(test, "/b", &second);
	test_answer(test_server_await(&test->server, 2), "200", "b");
	assert_true(test_client_await(test, &second));
	assert_int_equal(first.num_dones, 0); /* the later one does not wait for the earlier */
	test_answer(&test->server.requests[0], "429", "slower");
	assert_true(test_client_await(test, &first));
	assert_int_equal(first.status, 429);
	assert_int_equal(test->server.num_accepted, 1);
}

static void the_client_may_end_before_its_requests(void **state)
{
	struct test_client *test = *state;
	struct test_result sent = {0}, waiting = {0};
	test_client_get(test, "/sent", &sent);
	test_server_await(&test->server, 1);
	test_client_get(test, "/waiting", &waiting);
	kube_client_free(TAKE_PTR(test->client));
	assert_int_equal(sent.num_dones + waiting.num_dones, 0);
}

static void after_goaway_requests_go_on_and_new_ones_use_another_connection(void **state)
{
	struct test_client *test = *state;
	struct test_result old = {0}, fresh = {0};
	test_client_get(test, "/old", &old);
	struct test_request *first = test_server_await(&test->server, 1);
	test_goaway(&test->server);
	test_server_settle(&test->server);
	test_client_get(test, "/new", &fresh);
	test_answer(test_server_await(&test->server, 2), "200", "new");
	assert_true(test_client_await(test, &fresh));
	assert_int_equal(test->server.num_accepted, 2);
	assert_int_equal(old.num_dones, 0);
	test_answer(first, "200", "old");
	assert_true(test_client_await(test, &old));
	assert_string_equal(old.body, "old");
}

static void a_cut_connection_ends_its_requests_and_is_made_again(void **state)
{
	struct test_client *test = *state;
	struct test_result before = {0}, first = {0}, second = {0};
	test_client_get(test, "/before", &before);
	test_answer(test_server_await(&test->server, 1), "200", "");
	test_client_get(test, "/a", &first);
	test_server_await(&test->server, 2);
	test_cut(&test->server);
	assert_true(test_client_await(test, &first));
	assert_int_not_equal(first.err, ERR_NONE);
	test_client_get(test, "/b", &second);
	test_answer(test_server_await(&test->server, 3), "200", "");
	assert_true(test_client_await(test, &second));
	assert_int_equal(second.err, ERR_NONE);
}

static void a_connection_that_never_answered_is_a_failed_attempt(void **state)
{
	struct test_client *test = *state;
	struct test_result first = {0}, second = {0}, third = {0};
	test_client_get(test, "/a", &first);
	test_server_await(&test->server, 1);
	test_cut(&test->server);
	assert_true(test_client_await(test, &first));
	test_client_get(test, "/b", &second); /* within the second after the failure */
	assert_true(test_client_await(test, &second));
	assert_int_not_equal(second.err, ERR_NONE);
	assert_int_equal(test->server.num_accepted, 1);
	test_server_pass(&test->server, 1100);
	test_client_get(test, "/c", &third);
	test_answer(test_server_await(&test->server, 2), "200", "");
	assert_true(test_client_await(test, &third));
	assert_int_equal(third.err, ERR_NONE);
}

static void a_server_that_goes_away_at_once_is_not_dialed_without_pause(void **state)
{
	struct test_client *test = *state;
	struct test_result first = {0}, second = {0}, third = {0};
	test->server.goes_away = true;
	test_client_get(test, "/a", &first);
	assert_true(test_client_await(test, &first));
	assert_int_equal(first.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(first.detail.got, "GOAWAY before any request"));
	test_client_get(test, "/b", &second);
	assert_true(test_client_await(test, &second));
	assert_int_equal(second.err, ERR_UNAVAILABLE);
	assert_int_equal(test->server.num_accepted, 1);
	test->server.goes_away = false;
	test_server_pass(&test->server, 1100);
	test_client_get(test, "/c", &third);
	test_answer(test_server_await(&test->server, 1), "200", "");
	assert_true(test_client_await(test, &third));
	assert_int_equal(third.err, ERR_NONE);
}

static void without_a_server_a_request_fails_at_once_and_later_ones_try_again(void **state)
{
	struct test_client *test = *state;
	struct test_result first = {0}, second = {0}, third = {0};
	test_server_stop_listening(&test->server);
	test_client_get(test, "/a", &first);
	assert_true(test_client_await(test, &first));
	assert_int_equal(first.err, ERR_REFUSED);
	assert_non_null(strstr(first.detail.got, "127.0.0.1"));
	test_server_listen(&test->server);
	test_client_get(test, "/b", &second); /* within the second after the failure */
	assert_true(test_client_await(test, &second));
	assert_int_equal(second.err, ERR_REFUSED);
	test_server_pass(&test->server, 1100);
	test_client_get(test, "/c", &third);
	test_answer(test_server_await(&test->server, 1), "200", "");
	assert_true(test_client_await(test, &third));
	assert_int_equal(third.err, ERR_NONE);
}

static void a_silent_server_is_given_up(void **state)
{
	struct test_client *test = *state;
	test->server.is_mute = true;
	struct test_result outcome = {0};
	kube_request_start(test->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .timeout_ms = 60000}, test_result_take,
		&outcome);
	assert_true(test_server_run(&test->server, test->server.num_accepted == 1));
	test_server_pass(&test->server, 10500);
	assert_int_equal(outcome.num_dones, 1);
	assert_int_equal(outcome.err, ERR_TIMEOUT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_client_set_up, test_client_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(requests_share_one_connection),
		CASE(the_client_may_end_before_its_requests),
		CASE(after_goaway_requests_go_on_and_new_ones_use_another_connection),
		CASE(a_cut_connection_ends_its_requests_and_is_made_again),
		CASE(a_connection_that_never_answered_is_a_failed_attempt),
		CASE(a_server_that_goes_away_at_once_is_not_dialed_without_pause),
		CASE(without_a_server_a_request_fails_at_once_and_later_ones_try_again),
		CASE(a_silent_server_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
