/* How a watch begins, ends and begins again. */
#include "base/core/mem.h"
#include "base/kube/test_watch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

#define LIST(version, more, items)                                                                                     \
	"{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" version "\"" more           \
	"},\"items\":[" items "]}\n"
#define ITEM(name)   "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"3\"}}"
#define MORE(token)  ",\"continue\":\"" token "\""
#define STATUS(code) "{\"kind\":\"Status\",\"message\":\"the test's reason\",\"code\":" code "}"

static bool has(const struct test_request *request, const char *part)
{
	return strstr(request->path, part) != NULL;
}

static void reads_the_whole_state_and_then_changes_on_one_stream(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_watch_sync(test);
	assert_true(has(request, "/api/v1/pods?watch=1&allowWatchBookmarks=true&sendInitialEvents=true"));
	assert_true(has(request, "&resourceVersionMatch=NotOlderThan"));
	test_send_text(request, test_line("MODIFIED", "cart-1", 11));
	test_send_text(request, test_line("ADDED", "cart-2", 12));
	test_send_text(request, test_line("DELETED", "cart-1", 13));
	assert_true(test_watch_logs(test, "+cart-1 +cart-2 -cart-1 "));
	assert_int_equal(test->server.num_requests, 1);
}

static void resumes_from_the_last_version(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_watch_sync(test);
	assert_string_equal(kube_watch_version(test->watch), "10");
	test_send_text(request, test_line("MODIFIED", "cart-1", 11));
	assert_true(test_watch_logs(test, "+cart-1 "));
	assert_string_equal(kube_watch_version(test->watch), "11");
	test_end(request); /* timeoutSeconds has passed */
	request = test_server_await(&test->server, 2);
	assert_true(has(request, "&resourceVersion=11&"));
	assert_false(has(request, "sendInitialEvents"));
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_bookmark(20, false));
	test_send_text(request, test_line("ADDED", "cart-2", 21));
	assert_true(test_watch_logs(test, "+cart-2 ")); /* no whole state again, and no trouble */
	test_send_text(request, test_bookmark(30, false));
	test_end(request);
	assert_true(has(test_server_await(&test->server, 3), "&resourceVersion=30&"));
}

static void an_event_410_has_the_whole_state_read_again(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_watch_sync(test);
	test_end(request);
	request = test_server_await(&test->server, 2);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_error_line(410));
	test_end(request);
	test_server_pass(&test->server, 600); /* backoff: this stream brought nothing else */
	request = test_server_await(&test->server, 3);
	assert_true(has(request, "sendInitialEvents=true"));
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-2", 40));
	assert_true(test_watch_logs(test, "begin +cart-2 "));
	assert_string_equal(kube_watch_version(test->watch), "");
	test_send_text(request, test_bookmark(41, true));
	assert_true(test_watch_logs(test, "synced "));
}

static void without_watch_list_it_lists_in_pages_and_watches(void **state)
{
	struct test_watch *test = *state;
	test_answer(test_server_await(&test->server, 1), "422", STATUS("422"));
	struct test_request *request = test_server_await(&test->server, 2);
	assert_string_equal(request->path, "/api/v1/pods?limit=500");
	test_answer(request, "200", LIST("7", MORE("a=b"), ITEM("cart-1") "," ITEM("cart-2")));
	request = test_server_await(&test->server, 3);
	assert_string_equal(request->path, "/api/v1/pods?limit=500&continue=a%3Db");
	test_answer(request, "200", LIST("7", "", ITEM("cart-3")));
	request = test_server_await(&test->server, 4);
	assert_true(has(request, "?watch=1&allowWatchBookmarks=true&resourceVersion=7&"));
	assert_true(test_watch_logs(test, "begin +cart-1 +cart-2 +cart-3 synced "));
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("DELETED", "cart-3", 8));
	assert_true(test_watch_logs(test, "-cart-3 "));
}

static void an_event_500_instead_of_the_state_has_it_listed(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_error_line(500));
	request = test_server_await(&test->server, 2);
	test_answer(request, "200", LIST("7", "", ""));
	assert_true(test_watch_logs(test, "begin synced "));
}

static void a_410_between_two_pages_begins_the_list_again(void **state)
{
	struct test_watch *test = *state;
	test_answer(test_server_await(&test->server, 1), "422", STATUS("422"));
	test_answer(test_server_await(&test->server, 2), "200", LIST("7", MORE("x"), ITEM("cart-1")));
	test_answer(test_server_await(&test->server, 3), "410", STATUS("410"));
	assert_true(test_watch_logs(test, "begin +cart-1 "));
	test_server_pass(&test->server, 600);
	struct test_request *request = test_server_await(&test->server, 4);
	assert_string_equal(request->path, "/api/v1/pods?limit=500");
	test_answer(request, "200", LIST("9", "", ITEM("cart-2")));
	assert_true(test_watch_logs(test, "begin +cart-2 synced "));
}

static void a_stream_that_ends_within_the_state_is_read_again_as_a_whole(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-1", 5));
	assert_true(test_watch_logs(test, "begin +cart-1 "));
	test_end(request);
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 600);
	request = test_server_await(&test->server, 2);
	assert_true(has(request, "sendInitialEvents=true"));
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_bookmark(10, true));
	assert_true(test_watch_logs(test, "begin synced over "));
}

static void a_missing_right_is_named_and_tried_again(void **state)
{
	struct test_watch *test = *state;
	test_answer(test_server_await(&test->server, 1), "403", STATUS("403"));
	assert_true(test_watch_logs(test, "trouble "));
	assert_non_null(strstr(test->trouble, "apiGroups [\"\"], resources [\"pods\"], verbs [\"list\", \"watch\"]"));
	test_server_pass(&test->server, 600);
	test_answer(test_server_await(&test->server, 2), "403", STATUS("403"));
	test_server_pass(&test->server, 1100);
	struct test_request *request = test_server_await(&test->server, 3);
	assert_string_equal(test->log, ""); /* the same trouble is reported once */
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_bookmark(10, true));
	assert_true(test_watch_logs(test, "begin synced over "));
}

static void comes_back_when_the_server_wants_it(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "429", "retry-after", "5");
	test_end(request);
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 4900);
	assert_int_equal(test->server.num_requests, 1);
	test_server_pass(&test->server, 1200);
	request = test_server_await(&test->server, 2);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_bookmark(10, true));
	assert_true(test_watch_logs(test, "begin synced over "));
}

static void fails_less_and_less_often(struct test_watch *test, const char *status)
{
	uint64_t began_ms = test->server.clock.mono_ms;
	for (size_t num = 1; num <= 12; num++)
		for (test_answer(test_server_await(&test->server, num), status, ""); test->server.num_requests == num;)
			test_server_pass(&test->server, 500);
	assert_in_range(test->server.clock.mono_ms - began_ms, 10000,
		12 * 31000); /* full jitter: half of the bounds on average */
}

static void failures_are_tried_again_less_and_less_often(void **state)
{
	fails_less_and_less_often(*state, "503");
}

static void a_right_that_stays_away_is_asked_for_less_and_less_often(void **state)
{
	fails_less_and_less_often(*state, "403");
}

/* Its first answers, before it has read its roles, are 403. */
static void a_server_that_starts_is_watched_again_at_once(void **state)
{
	struct test_watch *test = *state;
	test_watch_sync(test);
	test_cut(&test->server);
	test_answer(test_server_await(&test->server, 2), "403", STATUS("403"));
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 600);
	struct test_request *request = test_server_await(&test->server, 3);
	assert_true(has(request, "&resourceVersion=10&"));
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-2", 11));
	assert_true(test_watch_logs(test, "+cart-2 over "));
}

/* What changed meanwhile is not known to sidecars until then. */
static void a_server_that_was_away_for_minutes_is_watched_within_seconds(void **state)
{
	struct test_watch *test = *state;
	test_watch_sync(test);
	test_server_stop_listening(&test->server);
	test_cut(&test->server);
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 120000);
	test_server_listen(&test->server);
	test_server_pass(&test->server, 5100);
	assert_true(has(test_server_await(&test->server, 2), "&resourceVersion=10&"));
}

static void goaway_moves_the_watch_to_a_new_connection(void **state)
{
	struct test_watch *test = *state;
	test_watch_sync(test);
	test_goaway(&test->server);
	struct test_request *request = test_server_await(&test->server, 2);
	assert_true(has(request, "&resourceVersion=10&"));
	assert_int_equal(test->server.num_accepted, 2);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-2", 11));
	assert_true(test_watch_logs(test, "+cart-2 "));
}

static void a_server_that_is_away_is_trouble_until_it_is_back(void **state)
{
	struct test_watch *test = *state;
	test_watch_sync(test);
	test_server_stop_listening(&test->server);
	test_cut(&test->server);
	assert_true(test_watch_logs(test, "trouble "));
	assert_non_null(strstr(test->trouble, "cannot be reached"));
	test_server_pass(&test->server, 5000);
	test_server_listen(&test->server);
	for (int i = 0; i < 70 && test->server.num_requests < 2; i++)
		test_server_pass(&test->server, 500);
	struct test_request *request = test_server_await(&test->server, 2);
	test->log[0] = '\0';
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-2", 11));
	assert_true(test_watch_logs(test, "+cart-2 over "));
}

static void a_server_that_goes_away_at_once_is_dialed_less_and_less_often(void **state)
{
	struct test_watch *test = *state;
	test->server.goes_away = true;
	assert_true(test_watch_logs(test, "trouble "));
	assert_non_null(strstr(test->trouble, "GOAWAY"));
	test_server_pass(&test->server, 60000);
	assert_in_range(test->server.num_accepted, 10, 70); /* 27 on average: full jitter, 500 ms to 5 s */
	assert_string_equal(test->log, "");
}

static void a_resumed_watch_without_events_is_no_trouble_for_long(void **state)
{
	struct test_watch *test = *state;
	test_end(test_watch_sync(test));
	test_answer(test_server_await(&test->server, 2), "503", "");
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 600);
	test_answer_begin(test_server_await(&test->server, 3), "200", NULL, NULL);
	test_server_pass(&test->server, 2100);
	assert_true(test_watch_logs(test, "over "));
}

/* A watch that the server refuses with a body that does not end; "over" would call it healthy. */
static void is_refused_slowly(struct test_watch *test, const char *status)
{
	test_end(test_watch_sync(test));
	test_answer(test_server_await(&test->server, 2), "503", "");
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 600);
	struct test_request *request = test_server_await(&test->server, 3);
	test_answer_begin(request, status, NULL, NULL);
	for (int i = 0; i < 59; i++) {
		test_server_pass(&test->server, 1000);
		test_send_text(request, " ");
	}
	assert_string_equal(test->log, "");
	assert_int_equal(test->server.num_requests, 3);
	test_server_pass(&test->server, 1500);
	assert_true(test_watch_logs(test, "trouble "));
	assert_non_null(strstr(test->trouble, "does not end its refusal for /api/v1/pods"));
	test_server_pass(&test->server, 1100);
	assert_int_equal(test->server.num_requests, 4);
}

static void a_refusal_that_does_not_end_is_no_watch_that_works(void **state)
{
	struct test_watch *test = *state;
	is_refused_slowly(test, "500");
	assert_true(has(test_server_await(&test->server, 4), "&resourceVersion=10&"));
}

static void a_410_that_does_not_end_has_the_whole_state_read_again(void **state)
{
	struct test_watch *test = *state;
	is_refused_slowly(test, "410");
	assert_true(has(test_server_await(&test->server, 4), "sendInitialEvents=true"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_watch_setup, test_watch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reads_the_whole_state_and_then_changes_on_one_stream),
		CASE(resumes_from_the_last_version),
		CASE(an_event_410_has_the_whole_state_read_again),
		CASE(without_watch_list_it_lists_in_pages_and_watches),
		CASE(an_event_500_instead_of_the_state_has_it_listed),
		CASE(a_410_between_two_pages_begins_the_list_again),
		CASE(a_stream_that_ends_within_the_state_is_read_again_as_a_whole),
		CASE(a_missing_right_is_named_and_tried_again),
		CASE(comes_back_when_the_server_wants_it),
		CASE(failures_are_tried_again_less_and_less_often),
		CASE(a_right_that_stays_away_is_asked_for_less_and_less_often),
		CASE(a_server_that_starts_is_watched_again_at_once),
		CASE(a_server_that_was_away_for_minutes_is_watched_within_seconds),
		CASE(goaway_moves_the_watch_to_a_new_connection),
		CASE(a_server_that_is_away_is_trouble_until_it_is_back),
		CASE(a_server_that_goes_away_at_once_is_dialed_less_and_less_often),
		CASE(a_resumed_watch_without_events_is_no_trouble_for_long),
		CASE(a_refusal_that_does_not_end_is_no_watch_that_works),
		CASE(a_410_that_does_not_end_has_the_whole_state_read_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
