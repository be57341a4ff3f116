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
/* cmocka requires the headers above */
#include <cmocka.h>

struct endpoint {
	char at[ADDR_TEXT_MAX];
	pid_t child;
};

/* A child process that answers one request and exits. */
static void endpoint_start(struct endpoint *endpoint, const char *answer)
{
	_cleanup_fd_ int fd = -1;
	struct addr any, bound;
	const struct socket_listen_options options = {0};
	assert_int_equal(addr_parse(span_of_str("127.0.0.1:1"), &any), ERR_NONE);
	any.port = 0; /* any free port */
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

/* `handfast COMMAND --admin AT` */
static struct command_line line_to(const char *at)
{
	static const struct cli_program program = {.name = "handfast"};
	return (struct command_line){.program = &program, .values = {{"admin", at, false}}, .num_values = 1};
}

static int run_with_answer(const char *answer, enum cli_exit (*command)(struct command_line *line))
{
	struct endpoint endpoint;
	int status = -1;
	endpoint_start(&endpoint, answer);
	struct command_line line = line_to(endpoint.at);
	int code = (int)command(&line);
	assert_int_equal(waitpid(endpoint.child, &status, 0), endpoint.child);
	assert_int_equal(status, 0);
	return code;
}

static void shows_a_page(_unused_ void **state)
{
	assert_int_equal(run_with_answer("HTTP/1.1 200 OK\r\n\r\n{}", command_certs), CLI_DONE);
}

static void shows_of(const char *answer, enum cli_exit (*command)(struct command_line *line), char *out, size_t cap)
{
	FILE *file = tmpfile();
	assert_non_null(file);
	fflush(stdout);
	int kept = dup(STDOUT_FILENO);
	assert_int_equal(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
	int code = run_with_answer(answer, command);
	fflush(stdout);
	assert_int_equal(dup2(kept, STDOUT_FILENO), STDOUT_FILENO);
	close(kept);
	rewind(file);
	out[fread(out, 1, cap - 1, file)] = '\0';
	(void)fclose(file);
	assert_int_equal(code, CLI_DONE);
}

/* Its pages lack keys that later releases have. */
static void shows_the_pages_of_release_0_1(_unused_ void **state)
{
#define CERTS(until)                                                                                                   \
	"HTTP/1.1 200 OK\r\n\r\n{\"identity\":{\"id\":\"spiffe://td/a\",\"valid\":true,"                               \
	"\"not_after\":\"" until "\"}}"
	char shown[1024];
	shows_of(CERTS("2125-01-01T00:00:00Z"), command_certs, shown, sizeof shown);
	assert_non_null(strstr(shown, "spiffe://td/a, valid until 2125-01-01T00:00:00Z ("));
	shows_of(CERTS("2025-01-01T00:00:00Z"), command_certs, shown, sizeof shown);
	assert_non_null(strstr(shown, "EXPIRED at 2025-01-01T00:00:00Z"));
	shows_of("HTTP/1.1 200 OK\r\n\r\n{\"release\":\"0.1.0\"}", command_config, shown, sizeof shown);
	assert_non_null(strstr(shown, "release 0.1.0 does not list its settings"));
	shows_of("HTTP/1.1 200 OK\r\n\r\n{\"settings\":[]}", command_config, shown, sizeof shown);
	assert_string_equal(shown, "no settings\n");
}

/* The page always has status 200; its content decides. test/integration/151_the_command_line.py uses a real sidecar. */
static void finding_o2_the_exit_code_of_check_follows_the_content_of_the_page(_unused_ void **state)
{
	assert_int_equal(
		run_with_answer("HTTP/1.1 200 OK\r\n\r\n{\"ready\":true,\"conditions\":[]}", command_check), CLI_DONE);
	assert_int_equal(
		run_with_answer("HTTP/1.1 200 "
				"OK\r\n\r\n{\"ready\":false,\"conditions\":[{\"name\":\"a\",\"level\":\"failed\"}]}",
			command_check),
		CLI_REFUSED);
	assert_int_equal(
		run_with_answer("HTTP/1.1 200 "
				"OK\r\n\r\n{\"ready\":true,\"conditions\":[{\"name\":\"a\",\"level\":\"degraded\"}]}",
			command_check),
		CLI_REFUSED);
	assert_int_equal(run_with_answer("HTTP/1.1 200 OK\r\n\r\n{}", command_check), CLI_UNAVAILABLE);
	assert_int_equal(run_with_answer("HTTP/1.1 404 No\r\n\r\n{}", command_check), CLI_UNAVAILABLE);
}

static void refuses_malformed_http(_unused_ void **state)
{
	assert_int_equal(run_with_answer("SSH-2.0-OpenSSH_9.2\r\n\r\n", command_certs), CLI_UNAVAILABLE);
	assert_int_equal(run_with_answer("HTTP/1.1 2x0 OK\r\n\r\n", command_certs), CLI_UNAVAILABLE);
	assert_int_equal(run_with_answer("HTTP/1.1 200 OK\r\n", command_certs), CLI_UNAVAILABLE);
}

static void reports_when_nothing_listens(_unused_ void **state)
{
	struct command_line line = line_to("127.0.0.1:1");
	assert_int_equal(command_certs(&line), CLI_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_a_page),
		cmocka_unit_test(shows_the_pages_of_release_0_1),
		cmocka_unit_test(finding_o2_the_exit_code_of_check_follows_the_content_of_the_page),
		cmocka_unit_test(refuses_malformed_http),
		cmocka_unit_test(reports_when_nothing_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
