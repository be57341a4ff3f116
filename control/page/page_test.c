#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "control/page/page.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires <setjmp.h>, <stdarg.h> and <stdint.h> */
#include <cmocka.h>

#define TOKEN              "0123456789abcdef0123456789abcdef"
#define GET(path, headers) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1:15016\r\n" headers "\r\n"
#define BEARER(token)      "Authorization: Bearer " token "\r\n"

struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	struct page *page;
	struct addr at;
	const char *shown;
	unsigned num_read;
	char answer[8192];
};

static enum err put_state(void *arg, struct buf *out)
{
	struct fixture *fixture = arg;
	fixture->num_read++;
	return fixture->shown == NULL ? ERR_LIMIT : buf_append_str(out, fixture->shown);
}

static int set_up(void **state)
{
	struct fixture *fixture = mem_new(struct fixture);
	clock_fake_init(&fixture->clock, 1700000000000);
	fixture->loop = loop_new(&fixture->clock.clock);
	fixture->shown = "{\"a\":1}";
	int fd = -1;
	assert_int_equal(addr_parse(SPAN_LITERAL("127.0.0.1:1"), &fixture->at), ERR_NONE);
	fixture->at.port = 0;
	assert_int_equal(socket_listen(&fixture->at, &(struct socket_listen_options){0}, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &fixture->at), ERR_NONE);
	fixture->page = page_new(&(struct page_options){.loop = fixture->loop,
		.listening_fd = fd,
		.token = SPAN_LITERAL(TOKEN),
		.html = SPAN_LITERAL("<p>no data"),
		.policy = "default-src 'none'",
		.put_state = put_state,
		.arg = fixture});
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	page_free(fixture->page);
	loop_free(fixture->loop);
	mem_free(fixture);
	return 0;
}

static int begin(struct fixture *fixture, const char *request)
{
	int fd = -1;
	assert_int_equal(socket_connect(&fixture->at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	for (int i = 0; i < 8; i++)
		loop_run_once(fixture->loop, false);
	assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	return fd;
}

/* What has come so far. */
static const char *read_some(struct fixture *fixture, int fd)
{
	size_t len = 0;
	for (int i = 0; i < 40; i++) {
		loop_run_once(fixture->loop, false);
		ssize_t got = read(fd, fixture->answer + len, sizeof fixture->answer - 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	fixture->answer[len] = '\0';
	return fixture->answer;
}

static const char *ask(struct fixture *fixture, const char *request)
{
	_cleanup_fd_ int fd = begin(fixture, request);
	return read_some(fixture, fd);
}

static void D36_the_page_itself_has_no_data_and_a_strict_policy(void **state)
{
	const char *answer = ask(*state, GET("/", ""));
	assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'none'\r\n"));
	assert_non_null(strstr(answer, "Referrer-Policy: no-referrer\r\n"));
	assert_non_null(strstr(answer, "X-Frame-Options: DENY\r\n"));
	assert_non_null(strstr(answer, "\r\n\r\n<p>no data"));
	assert_int_equal(((struct fixture *)*state)->num_read, 0);
}

static void D36_without_the_token_nothing_is_read(void **state)
{
	struct fixture *fixture = *state;
	static const char *const refused[] = {GET("/state", ""), GET("/events", ""), GET("/state", BEARER("")),
		GET("/state", BEARER("0123456789abcdef0123456789abcdeg")), GET("/state", BEARER(TOKEN "0")),
		GET("/state", BEARER("0123456789abcdef")), GET("/state", "Authorization: Basic " TOKEN "\r\n"),
		GET("/state?token=" TOKEN, ""), GET("/state", "Cookie: token=" TOKEN "\r\n")};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_non_null(strstr(ask(fixture, refused[i]), "HTTP/1.1 401 "));
	assert_non_null(strstr(ask(fixture, GET("/state", BEARER(TOKEN) BEARER(TOKEN))), "HTTP/1.1 400 "));
	assert_int_equal(fixture->num_read, 0);
}

static void D36_a_host_that_dns_rebinding_made_is_refused_with_the_token_too(void **state)
{
	struct fixture *fixture = *state;
	assert_non_null(strstr(ask(fixture, "GET /state HTTP/1.1\r\nHost: evil.example:15016\r\n" BEARER(TOKEN) "\r\n"),
		"HTTP/1.1 403 "));
	assert_non_null(strstr(
		ask(fixture, "POST /state HTTP/1.1\r\nHost: 127.0.0.1\r\n" BEARER(TOKEN) "\r\n"), "HTTP/1.1 405 "));
	assert_int_equal(fixture->num_read, 0);
}

static void the_token_opens_the_state(void **state)
{
	const char *answer = ask(*state, GET("/state", BEARER(TOKEN)));
	assert_non_null(strstr(answer, "application/json"));
	assert_non_null(strstr(answer, "\r\n\r\n{\"a\":1}"));
	((struct fixture *)*state)->shown = NULL;
	assert_non_null(strstr(ask(*state, GET("/state", "authorization: bearer " TOKEN "\r\n")), "HTTP/1.1 503 "));
}

static void events_come_when_the_state_changes_and_only_then(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_fd_ int fd = begin(fixture, GET("/events", BEARER(TOKEN)));
	const char *answer = read_some(fixture, fd);
	assert_non_null(strstr(answer, "Content-Type: text/event-stream\r\n"));
	assert_null(strstr(answer, "Content-Length"));
	assert_non_null(strstr(answer, "\r\n\r\nevent: state\ndata: {\"a\":1}\n\n"));
	clock_fake_advance(&fixture->clock, 2100);
	assert_string_equal(read_some(fixture, fd), "");
	fixture->shown = "{\"a\":2}";
	clock_fake_advance(&fixture->clock, 2100);
	assert_string_equal(read_some(fixture, fd), "event: state\ndata: {\"a\":2}\n\n");
	clock_fake_advance(&fixture->clock, 15100);
	assert_string_equal(read_some(fixture, fd), ":\n\n");
}

static void D40_a_state_that_cannot_be_read_is_an_event_and_so_is_its_return(void **state)
{
	static const char failed[] = "event: error\ndata: it has more than 6 MiB, which is too large for the page\n\n";
	struct fixture *fixture = *state;
	_cleanup_fd_ int fd = begin(fixture, GET("/events", BEARER(TOKEN)));
	assert_non_null(strstr(read_some(fixture, fd), "event: state"));
	fixture->shown = NULL;
	clock_fake_advance(&fixture->clock, 2100);
	assert_string_equal(read_some(fixture, fd), failed);
	clock_fake_advance(&fixture->clock, 2100);
	assert_string_equal(read_some(fixture, fd), "");
	_cleanup_fd_ int late = begin(fixture, GET("/events", BEARER(TOKEN)));
	assert_non_null(strstr(read_some(fixture, late), failed));
	fixture->shown = "{\"a\":1}";
	clock_fake_advance(&fixture->clock, 2100);
	assert_string_equal(read_some(fixture, fd), "event: state\ndata: {\"a\":1}\n\n");
}

static void nothing_is_read_without_a_stream(void **state)
{
	struct fixture *fixture = *state;
	fd_close(begin(fixture, GET("/events", BEARER(TOKEN))));
	(void)ask(fixture, GET("/", ""));
	clock_fake_advance(&fixture->clock, 2100);
	(void)ask(fixture, GET("/", ""));
	unsigned num_read = fixture->num_read;
	clock_fake_advance(&fixture->clock, 60000);
	(void)ask(fixture, GET("/", ""));
	assert_int_equal(fixture->num_read, num_read);
}

static void D40_the_ninth_stream_is_refused_until_another_ends(void **state)
{
	struct fixture *fixture = *state;
	int fds[PAGE_STREAMS_MAX];
	for (size_t i = 0; i < PAGE_STREAMS_MAX; i++) {
		fds[i] = begin(fixture, GET("/events", BEARER(TOKEN)));
		assert_non_null(strstr(read_some(fixture, fds[i]), "event: state"));
	}
	assert_non_null(strstr(ask(fixture, GET("/events", BEARER(TOKEN))), "HTTP/1.1 503 "));
	fd_close(fds[3]);
	(void)ask(fixture, GET("/", ""));
	fds[3] = begin(fixture, GET("/events", BEARER(TOKEN)));
	assert_non_null(strstr(read_some(fixture, fds[3]), "event: state"));
	for (size_t i = 0; i < PAGE_STREAMS_MAX; i++)
		fd_close(fds[i]);
}

static void a_token_is_one_line_that_cannot_be_guessed(void **state)
{
	(void)state;
	struct span token;
	struct why why = {0};
	assert_int_equal(page_token_read(SPAN_LITERAL(TOKEN "\n"), &token, &why), ERR_NONE);
	assert_int_equal(token.len, 32);
	assert_int_equal(page_token_read(SPAN_LITERAL("0123456789abcdef0123456789abcde\n"), &token, &why), ERR_CONFIG);
	assert_int_equal(page_token_read(SPAN_LITERAL(TOKEN " a"), &token, &why), ERR_CONFIG);
	assert_int_equal(page_token_read(SPAN_LITERAL(TOKEN "\na"), &token, &why), ERR_CONFIG);
	assert_int_equal(page_token_read(SPAN_LITERAL(""), &token, &why), ERR_CONFIG);
	assert_non_null(strstr(why.fix, "openssl rand -hex 32"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(D36_the_page_itself_has_no_data_and_a_strict_policy),
		TEST(D36_without_the_token_nothing_is_read),
		TEST(D36_a_host_that_dns_rebinding_made_is_refused_with_the_token_too),
		TEST(the_token_opens_the_state),
		TEST(events_come_when_the_state_changes_and_only_then),
		TEST(D40_a_state_that_cannot_be_read_is_an_event_and_so_is_its_return),
		TEST(nothing_is_read_without_a_stream),
		TEST(D40_the_ninth_stream_is_refused_until_another_ends),
		cmocka_unit_test(a_token_is_one_line_that_cannot_be_guessed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
