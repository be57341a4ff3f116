/* For tests: a server of a few pages on loopback, with a clock of the test's, and clients that write any bytes to it.
 */
#pragma once

#include "base/core/clock.h"
#include "base/http/http_get.h"

/* /hello, /tree...: the query, at once; /later: held; /large: 8 MiB; /stream: without an end. */
struct test_pages {
	struct clock_fake clock; /* from 2023-11-14 22:13:20 */
	struct loop *loop;
	struct http_server *server;
	struct addr at;
	struct http_request *held;  /* by /later: the test answers it, else the end does */
	struct http_stream *stream; /* of /stream; NULL: it has ended */
	struct http_page pages[6];
	char answer[2048];
};

#define TEST_GET(path) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

/* Of cmocka: *state is a test_pages. */
int test_pages_set_up(void **state);
int test_pages_tear_down(void **state);
void test_pages_turn(struct test_pages *pages); /* rounds of the loop */
/* A connection on which the text is sent; the caller closes it. */
int test_pages_begin(struct test_pages *pages, const char *text);
/* What was received until the end, borrowed until the next call; NULL: it has not ended. */
const char *test_pages_end(struct test_pages *pages, int fd);
