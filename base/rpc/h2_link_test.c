#include "base/rpc/test_link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void both_ends_open_and_pass_headers(void **state)
{
	struct test_link *world = *state;
	test_link_open_both(world);
	assert_int_equal(world->client.num_opens, 1);
	const struct h2_header headers[] = {{SPAN_LITERAL(":method"), SPAN_LITERAL("GET")},
		{SPAN_LITERAL(":scheme"), SPAN_LITERAL("https")}, {SPAN_LITERAL(":path"), SPAN_LITERAL("/")},
		{SPAN_LITERAL(":authority"), SPAN_LITERAL("a")}};
	int32_t id;
	assert_int_equal(h2_stream_open(h2_link_session(world->client.link), headers, 4, true, NULL, &id), ERR_NONE);
	h2_link_flush(world->client.link);
	test_link_pass(world, 0);
	assert_int_equal(world->server.num_headers, 1);
}

static void a_peer_without_settings_ends_it(void **state)
{
	struct test_link *world = *state;
	test_link_pass(world, TEST_LINK_OPEN_TIMEOUT_MS + 100);
	assert_int_equal(world->client.detail.err, ERR_TIMEOUT);
	assert_int_equal(world->client.num_opens, 0);
}

static void a_peer_that_speaks_no_http2_ends_it(void **state)
{
	struct test_link *world = *state;
	assert_int_equal(write(world->fds[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
	test_link_pass(world, 0);
	assert_int_equal(world->client.num_deads, 1);
	assert_int_equal(world->client.detail.err, ERR_PROTOCOL);
}

static void the_end_of_one_is_the_end_of_the_other(void **state)
{
	struct test_link *world = *state;
	test_link_open_both(world);
	h2_link_end(world->server.link, NULL);
	assert_int_equal(world->server.num_deads, 0); /* in a task */
	test_link_pass(world, 0);
	assert_int_equal(world->server.num_deads, 1);
	assert_int_equal(world->client.num_deads, 1);
	assert_int_equal(world->client.detail.err, ERR_CLOSED);
}

static void reports_goaway(void **state)
{
	struct test_link *world = *state;
	test_link_open_both(world);
	h2_session_shutdown(h2_link_session(world->server.link));
	h2_link_flush(world->server.link);
	test_link_pass(world, 0);
	assert_in_range(world->client.num_goaways, 1, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_link_set_up, test_link_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(both_ends_open_and_pass_headers),
		CASE(a_peer_without_settings_ends_it),
		CASE(a_peer_that_speaks_no_http2_ends_it),
		CASE(the_end_of_one_is_the_end_of_the_other),
		CASE(reports_goaway),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
