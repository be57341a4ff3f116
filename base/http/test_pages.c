#include "base/http/test_pages.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static void on_hello(void *arg, struct http_request *request)
{
	(void)arg;
	http_answer(request, 200, HTTP_TEXT, span_of_str(http_request_query(request)));
}

static void on_later(void *arg, struct http_request *request)
{
	((struct test_pages *)arg)->held = request;
}

static void on_large(void *arg, struct http_request *request)
{
	(void)arg;
	static const uint8_t zeros[8 << 20];
	http_answer(request, 200, HTTP_TEXT, span_of(zeros, sizeof(zeros)));
}

static void on_end(void *arg)
{
	((struct test_pages *)arg)->stream = NULL;
}

static void on_stream(void *arg, struct http_request *request)
{
	struct test_pages *pages = arg;
	pages->stream = http_stream_open(request, "text/event-stream", "X-More: yes\r\n", on_end, pages);
}

int test_pages_set_up(void **state)
{
	struct test_pages *pages = mem_new(struct test_pages);
	const struct http_page all[] = {{"/hello", on_hello, NULL}, {"/later", on_later, pages},
		{"/large", on_large, NULL}, {"/stream", on_stream, pages}, {"/tree", on_hello, NULL, .is_prefix = true},
		{"/public", on_hello, NULL, .takes_names = true}};
	_Static_assert(sizeof all == sizeof pages->pages, "each has its place");
	memcpy(pages->pages, all, sizeof all);
	clock_fake_init(&pages->clock, 1700000000000);
	pages->loop = loop_new(&pages->clock.clock);
	CHECK(addr_parse(SPAN_LITERAL("127.0.0.1:1"), &pages->at) == ERR_NONE);
	pages->at.port = 0;
	int fd = -1;
	CHECK(socket_listen(&pages->at, &(struct socket_listen_options){0}, &fd, NULL) == ERR_NONE);
	CHECK(socket_local_addr(fd, &pages->at) == ERR_NONE);
	pages->server = http_server_new(pages->loop, fd, pages->pages, sizeof all / sizeof all[0]);
	*state = pages;
	return 0;
}

int test_pages_tear_down(void **state)
{
	struct test_pages *pages = *state;
	http_server_free(pages->server);
	if (pages->held != NULL)
		http_answer(pages->held, 200, HTTP_TEXT, SPAN_LITERAL("too late")); /* dropped, not leaked */
	loop_free(pages->loop);
	mem_free(pages);
	return 0;
}

void test_pages_turn(struct test_pages *pages)
{
	for (unsigned i = 0; i < 8; i++)
		loop_run_once(pages->loop, false);
}

int test_pages_begin(struct test_pages *pages, const char *text)
{
	int fd = -1;
	CHECK(socket_connect(&pages->at, &(struct socket_connect_options){0}, &fd) == ERR_NONE);
	test_pages_turn(pages);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	test_pages_turn(pages);
	return fd;
}

const char *test_pages_end(struct test_pages *pages, int fd)
{
	size_t len = 0;
	for (unsigned i = 0; i < 100; i++) {
		test_pages_turn(pages);
		ssize_t got = read(fd, pages->answer + len, sizeof(pages->answer) - 1 - len);
		if (got < 0 && errno == EAGAIN)
			continue;
		if (got <= 0) {
			pages->answer[len] = '\0';
			return pages->answer;
		}
		len += (size_t)got;
	}
	return NULL;
}
