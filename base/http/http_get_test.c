#include "base/http/test_pages.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void an_unknown_page_is_404_and_a_post_405(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int unknown = test_pages_begin(pages, TEST_GET("/hello/"));
	assert_non_null(strstr(test_pages_end(pages, unknown), "HTTP/1.1 404 "));
	_cleanup_fd_ int post =
		test_pages_begin(pages, "POST /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc");
	assert_non_null(strstr(test_pages_end(pages, post), "HTTP/1.1 405 "));
	assert_non_null(strstr(pages->answer, "Allow: GET, HEAD\r\n"));
}

static void D39_idle_clients_cannot_block_probes(void **state)
{
	struct test_pages *pages = *state;
	int idle[64];
	for (size_t i = 0; i < 64; i++)
		idle[i] = test_pages_begin(pages, "GET ");
	assert_int_equal(http_server_num_conns(pages->server), 64);
	_cleanup_fd_ int fd = test_pages_begin(pages, TEST_GET("/hello?probe"));
	assert_non_null(strstr(test_pages_end(pages, fd), "\r\n\r\nprobe"));
	assert_in_range(http_server_num_conns(pages->server), 63, 64);
	for (size_t i = 0; i < 64; i++)
		fd_close(idle[i]);
}

/* A probe that sends its request late, beside a host that floods the port. */
static void finding_l12_a_flood_evicts_its_own_connections_and_no_probe(void **state)
{
	struct test_pages *pages = *state;
	enum { FLOOD = 200 };
	static int flood[FLOOD];
	struct ip_addr other;
	_cleanup_fd_ int probe = -1;
	assert_int_equal(ip_addr_parse(span_of_str("127.0.0.2"), &other), ERR_NONE);
	assert_int_equal(
		socket_connect(&pages->at, &(struct socket_connect_options){.source = &other}, &probe), ERR_NONE);
	test_pages_turn(pages);
	for (size_t i = 0; i < FLOOD; i++)
		flood[i] = test_pages_begin(pages, "GET ");
	assert_int_equal(http_server_num_conns(pages->server), 64);
	assert_true(http_server_num_evicted(pages->server) >= FLOOD - 64);
	assert_int_equal(write(probe, TEST_GET("/hello?late"), strlen(TEST_GET("/hello?late"))),
		strlen(TEST_GET("/hello?late")));
	assert_non_null(strstr(test_pages_end(pages, probe), "\r\n\r\nlate"));
	for (size_t i = 0; i < FLOOD; i++)
		fd_close(flood[i]);
}

static void the_first_page_that_matches_is_asked(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int below = test_pages_begin(pages, TEST_GET("/tree/a/b?x"));
	assert_non_null(strstr(test_pages_end(pages, below), "\r\n\r\nx"));
	_cleanup_fd_ int exact = test_pages_begin(pages, TEST_GET("/hello"));
	assert_non_null(strstr(test_pages_end(pages, exact), "HTTP/1.1 200 "));
	_cleanup_fd_ int longer = test_pages_begin(pages, TEST_GET("/helloo"));
	assert_non_null(strstr(test_pages_end(pages, longer), "HTTP/1.1 404 "));
}

static void a_server_that_ends_closes_its_connections_and_the_request_stays_its_owners(void **state)
{
	struct test_pages *pages = *state;
	_cleanup_fd_ int reading = test_pages_begin(pages, "GET ");
	_cleanup_fd_ int answering = test_pages_begin(pages, TEST_GET("/later"));
	assert_int_equal(http_server_num_conns(pages->server), 2);
	http_server_free(TAKE_PTR(pages->server));
	assert_string_equal(test_pages_end(pages, reading), "");
	assert_string_equal(test_pages_end(pages, answering), "");
	assert_string_equal(http_request_path(pages->held), "/later"); /* the fixture answers it */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_pages_set_up, test_pages_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_unknown_page_is_404_and_a_post_405),
		TEST(D39_idle_clients_cannot_block_probes),
		TEST(finding_l12_a_flood_evicts_its_own_connections_and_no_probe),
		TEST(the_first_page_that_matches_is_asked),
		TEST(a_server_that_ends_closes_its_connections_and_the_request_stays_its_owners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
