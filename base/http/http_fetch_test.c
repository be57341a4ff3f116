#include "base/http/http_fetch.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the ones above */
#include <cmocka.h>

static pid_t serve_once(struct addr *at, const char *answer)
{
	_cleanup_fd_ int fd = -1;
	struct addr any;
	assert_int_equal(addr_parse(SPAN_LITERAL("127.0.0.1:1"), &any), ERR_NONE);
	any.port = 0; /* any that is free */
	assert_int_equal(socket_listen(&any, &(struct socket_listen_options){0}, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, at), ERR_NONE);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char request[1024];
		struct pollfd one = {.fd = fd, .events = POLLIN};
		poll(&one, 1, 5000);
		int peer = accept(fd, NULL, NULL);
		ssize_t len = read(peer, request, sizeof(request));
		bool is_right = len > 0 && memcmp(request, "GET /page HTTP/1.1\r\n", 20) == 0;
		_exit(is_right && write(peer, answer, strlen(answer)) == (ssize_t)strlen(answer) ? 0 : 1);
	}
	return child;
}

static enum err fetch(const char *served, struct buf *answer, struct http_fetched *out)
{
	struct addr at;
	int status = -1;
	pid_t child = serve_once(&at, served);
	enum err err = http_fetch(&at, "/page", 5000, answer, out);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	return err;
}

static void returns_the_status_and_the_body(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf answer = BUF_INIT(1024);
	struct http_fetched fetched;
	assert_int_equal(fetch("HTTP/1.1 503 No\r\nX: y\r\n\r\nbody\r\n\r\nmore", &answer, &fetched), ERR_NONE);
	assert_int_equal(fetched.status, 503);
	assert_true(span_eq(fetched.body, SPAN_LITERAL("body\r\n\r\nmore")));
}

static void refuses_what_is_no_http(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"SSH-2.0-x\r\n\r\n", "HTTP/1.1 2", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		_cleanup_(buf_done) struct buf answer = BUF_INIT(1024);
		struct http_fetched fetched = {.status = 7};
		assert_int_equal(fetch(wrong[i], &answer, &fetched), ERR_MALFORMED);
		assert_int_equal(fetched.status, 7);
	}
}

static void an_answer_has_a_limit(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf answer = BUF_INIT(32);
	struct http_fetched fetched;
	assert_int_equal(
		fetch("HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789", &answer, &fetched), ERR_LIMIT);
}

static void reports_that_no_socket_listens(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf answer = BUF_INIT(32);
	struct http_fetched fetched;
	struct addr at;
	int status;
	pid_t child = serve_once(&at, "");
	struct http_fetched ignored;
	_cleanup_(buf_done) struct buf first = BUF_INIT(64);
	assert_int_equal(http_fetch(&at, "/page", 5000, &first, &ignored), ERR_MALFORMED);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(http_fetch(&at, "/page", 5000, &answer, &fetched), ERR_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_the_status_and_the_body),
		cmocka_unit_test(refuses_what_is_no_http),
		cmocka_unit_test(an_answer_has_a_limit),
		cmocka_unit_test(reports_that_no_socket_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
