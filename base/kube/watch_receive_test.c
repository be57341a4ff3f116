/* What a watch makes of bytes: pieces, large objects, garbage, silence, and callbacks that stop it. */
#include "base/core/mem.h"
#include "base/kube/test_watch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { MIB = 1024 * 1024 };

static void half_a_line_at_the_end_is_not_an_event(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_watch_sync(test);
	const char *line = test_line("MODIFIED", "cart-1", 11);
	test_send(request, span_of(line, strlen(line) / 2));
	test_end(request);
	request = test_server_await(&test->server, 2);
	assert_non_null(strstr(request->path, "&resourceVersion=10&"));
	assert_string_equal(test->log, "");
}

static void a_line_in_pieces_is_one_event(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_watch_sync(test);
	const char *line = test_line("MODIFIED", "cart-1", 11);
	for (size_t i = 0; i < strlen(line); i += 7) {
		test_send(request, span_of(line + i, strlen(line) - i < 7 ? strlen(line) - i : 7));
		test_server_settle(&test->server);
	}
	assert_true(test_watch_logs(test, "+cart-1 "));
}

/* One event with an annotation of so many bytes. */
static void send_large(struct test_request *request, size_t len)
{
	char *filler = mem_alloc(len);
	memset(filler, 'x', len);
	test_send_text(request, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"large\",\"resourceVersion\":"
				"\"11\",\"annotations\":{\"a\":\"");
	test_send(request, span_of(filler, len));
	test_send_text(request, "\"}}}}\n");
	mem_free(filler);
}

static void a_line_of_nearly_10_mib_is_an_event(void **state)
{
	struct test_watch *test = *state;
	send_large(test_watch_sync(test), 10 * MIB - 200);
	assert_true(test_watch_logs(test, "+large "));
}

static void a_longer_line_is_trouble_with_a_bound(void **state)
{
	struct test_watch *test = *state;
	send_large(test_watch_sync(test), 11 * MIB);
	assert_true(test_watch_logs(test, "trouble "));
	assert_non_null(strstr(test->trouble, "/api/v1/pods"));
	test_server_pass(&test->server, 600);
	assert_non_null(strstr(test_server_await(&test->server, 2)->path, "&resourceVersion=10&"));
}

static void what_is_no_event_is_trouble_and_the_watch_resumes(void **state)
{
	struct test_watch *test = *state;
	test_send_text(test_watch_sync(test), "<html>\n");
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 600);
	struct test_request *request = test_server_await(&test->server, 2);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-2", 11));
	assert_true(test_watch_logs(test, "+cart-2 over "));
}

static void a_server_that_stops_within_the_state_is_asked_for_a_list(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-1", 5));
	assert_true(test_watch_logs(test, "begin +cart-1 "));
	test_server_pass(&test->server, 61000);
	assert_string_equal(test_server_await(&test->server, 2)->path, "/api/v1/pods?limit=500");
}

static void a_server_that_was_restored_is_read_anew(void **state)
{
	struct test_watch *test = *state;
	test_watch_sync(test);
	test_cut(&test->server);
	struct test_request *request = test_server_await(&test->server, 2);
	test_answer_begin(request, "200", NULL, NULL); /* it waits for version 10, which is far away */
	test_server_pass(&test->server, 2100);
	request = test_server_await(&test->server, 3);
	assert_string_equal(request->path, "/api/v1/pods?limit=1");
	test_answer(request, "200", "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[]}");
	request = test_server_await(&test->server, 4);
	assert_non_null(strstr(request->path, "sendInitialEvents=true"));
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_bookmark(9, true));
	assert_true(test_watch_logs(test, "trouble begin synced over "));
}

static void an_event_newer_than_the_probe_is_no_restored_server(void **state)
{
	struct test_watch *test = *state;
	test_watch_sync(test);
	test_cut(&test->server);
	struct test_request *watch = test_server_await(&test->server, 2);
	test_answer_begin(watch, "200", NULL, NULL);
	test_server_pass(&test->server, 2100);
	struct test_request *probe = test_server_await(&test->server, 3);
	assert_string_equal(probe->path, "/api/v1/pods?limit=1");
	test_send_text(watch, test_line("ADDED", "cart-2", 12)); /* after the list was made */
	assert_true(test_watch_logs(test, "+cart-2 "));
	test_answer(probe, "200", "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[]}");
	test_server_settle(&test->server);
	assert_string_equal(test->log, "");
	assert_int_equal(test->server.num_requests, 3);
}

static void a_silent_watch_is_opened_again(void **state)
{
	struct test_watch *test = *state;
	test_watch_sync(test);
	uint64_t began_ms = test->server.clock.mono_ms;
	for (int i = 0; i < 600 && test->server.num_requests < 2; i++)
		test_server_pass(&test->server, 500);
	assert_in_range(test->server.clock.mono_ms - began_ms, 180000, 250000);
	test_answer(
		test_server_await(&test->server, 2), "200", "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[]}");
	assert_non_null(strstr(test_server_await(&test->server, 3)->path, "&resourceVersion=10&"));
	assert_string_equal(test->log, "");
}

static void may_be_stopped_within_each_callback(void **state)
{
	struct test_watch *test = *state;
	struct test_request *request = test_server_await(&test->server, 1);
	test->stops_at_object = true;
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-1", 5));
	test_send_text(request, test_line("ADDED", "cart-2", 6));
	assert_true(test_watch_logs(test, "begin +cart-1 "));
	assert_true(test_server_run(&test->server, request->stream.is_closed));
	assert_null(test->watch);
}

static void may_be_stopped_when_synced(void **state)
{
	struct test_watch *test = *state;
	test->stops_at_synced = true;
	struct test_request *request = test_server_await(&test->server, 1);
	test_answer(request, "422", "");
	request = test_server_await(&test->server, 2);
	test_answer(request, "200", "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[]}");
	assert_true(test_watch_logs(test, "begin synced "));
	assert_int_equal(test->server.num_requests, 2);
}

static void may_be_stopped_at_trouble(void **state)
{
	struct test_watch *test = *state;
	test->stops_at_trouble = true;
	test_answer(test_server_await(&test->server, 1), "403", "");
	assert_true(test_watch_logs(test, "trouble "));
	test_server_pass(&test->server, 31000);
	assert_int_equal(test->server.num_requests, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_watch_setup, test_watch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(half_a_line_at_the_end_is_not_an_event),
		CASE(a_line_in_pieces_is_one_event),
		CASE(a_line_of_nearly_10_mib_is_an_event),
		CASE(a_longer_line_is_trouble_with_a_bound),
		CASE(what_is_no_event_is_trouble_and_the_watch_resumes),
		CASE(a_server_that_stops_within_the_state_is_asked_for_a_list),
		CASE(a_server_that_was_restored_is_read_anew),
		CASE(an_event_newer_than_the_probe_is_no_restored_server),
		CASE(a_silent_watch_is_opened_again),
		CASE(may_be_stopped_within_each_callback),
		CASE(may_be_stopped_when_synced),
		CASE(may_be_stopped_at_trouble),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
