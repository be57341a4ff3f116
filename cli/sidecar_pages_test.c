#include "base/core/addr.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "cli/commands.h"
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants these first */
#include <cmocka.h>

struct endpoint {
	char at[ADDR_TEXT_MAX];
	pid_t child;
};

/* A child that answers one request and ends. */
static void endpoint_start(struct endpoint *endpoint, const char *answer)
{
	_cleanup_fd_ int fd = -1;
	struct addr any, bound;
	const struct socket_listen_options options = {0};
	assert_int_equal(addr_parse(span_of_str("127.0.0.1:1"), &any), ERR_NONE);
	any.port = 0; /* any that is free */
	assert_int_equal(socket_listen(&any, &options, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &bound), ERR_NONE);
	addr_format(&bound, endpoint->at);
	endpoint->child = fork();
	assert_true(endpoint->child >= 0);
	if (endpoint->child == 0) {
		char request[1024];
		struct pollfd one = {.fd = fd, .events = POLLIN};
		poll(&one, 1, 5000);
		int peer = accept(fd, NULL, NULL);
		ssize_t len = read(peer, request, sizeof(request));
		ssize_t sent = write(peer, answer, strlen(answer));
		_exit(len > 0 && memcmp(request, "GET /c", 6) == 0 && sent == (ssize_t)strlen(answer) ? 0 : 1);
	}
}

static int ask(const char *answer, int (*command)(const struct cli_options *options))
{
	struct endpoint endpoint;
	int status = -1;
	endpoint_start(&endpoint, answer);
	const struct cli_options options = {.admin = endpoint.at};
	int code = command(&options);
	assert_int_equal(waitpid(endpoint.child, &status, 0), endpoint.child);
	assert_int_equal(status, 0);
	return code;
}

static void shows_a_page(_unused_ void **state)
{
	assert_int_equal(ask("HTTP/1.1 200 OK\r\n\r\n{}", command_certs), CLI_FINE);
}

static void tells_by_its_exit_code_that_a_check_found_something(_unused_ void **state)
{
	assert_int_equal(ask("HTTP/1.1 503 No\r\n\r\n{\"ready\":false}\n", command_check), CLI_REFUSED);
}

static void refuses_what_is_no_http(_unused_ void **state)
{
	assert_int_equal(ask("SSH-2.0-OpenSSH_9.2\r\n\r\n", command_certs), CLI_UNAVAILABLE);
	assert_int_equal(ask("HTTP/1.1 2x0 OK\r\n\r\n", command_certs), CLI_UNAVAILABLE);
	assert_int_equal(ask("HTTP/1.1 200 OK\r\n", command_certs), CLI_UNAVAILABLE);
}

static void says_so_when_nobody_listens(_unused_ void **state)
{
	const struct cli_options options = {.admin = "127.0.0.1:1"};
	assert_int_equal(command_certs(&options), CLI_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_a_page),
		cmocka_unit_test(tells_by_its_exit_code_that_a_check_found_something),
		cmocka_unit_test(refuses_what_is_no_http),
		cmocka_unit_test(says_so_when_nobody_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
