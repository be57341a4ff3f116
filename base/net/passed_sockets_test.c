#include "base/net/fd.h"
#include "base/net/passed_sockets.h"
#include "base/net/socket.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { TIMEOUT_MS = 2000, ELSEWHERE_IS_DENIED = 77 };

struct ends {
	int giver, taker;
};

static void ends_open(struct ends *ends)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*ends = (struct ends){fds[0], fds[1]};
}

static void ends_close(struct ends *ends)
{
	fd_close(ends->giver);
	fd_close(ends->taker);
}

static int listening_at(struct addr *at, bool reuse_port)
{
	int fd = -1;
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &at->ip), ERR_NONE);
	const struct socket_listen_options how = {.reuse_port = reuse_port};
	assert_int_equal(socket_listen(at, &how, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, at), ERR_NONE);
	return fd;
}

static struct passed_sockets *passed(struct ends *ends, const int *fds, size_t num)
{
	struct passed_sockets *sockets = NULL;
	assert_int_equal(passed_sockets_send(ends->giver, fds, num, NULL), ERR_NONE);
	assert_int_equal(passed_sockets_receive(ends->taker, TIMEOUT_MS, &sockets, NULL), ERR_NONE);
	return sockets;
}

static void a_client_that_waited_is_accepted_by_the_other_process(_unused_ void **state)
{
	struct ends ends;
	struct addr at = {.port = 0}, peer;
	_cleanup_fd_ int client = -1, taken = -1, accepted = -1;
	ends_open(&ends);
	int fd = listening_at(&at, false);
	assert_int_equal(socket_connect(&at, NULL, &client), ERR_NONE);
	struct passed_sockets *sockets = passed(&ends, &fd, 1);
	fd_close(fd); /* its process ends */
	const struct socket_listen_options how = {.passed = sockets};
	assert_int_equal(socket_listen(&at, &how, &taken, NULL), ERR_NONE);
	assert_int_equal(passed_sockets_num(sockets), 0);
	assert_int_equal(fd_accept(taken, &peer, &accepted), ERR_NONE);
	passed_sockets_free(sockets);
	ends_close(&ends);
}

static void each_of_several_at_one_address_is_taken_once(_unused_ void **state)
{
	struct ends ends;
	struct addr at = {.port = 0}, left;
	int fds[3];
	ends_open(&ends);
	for (size_t i = 0; i < 3; i++)
		fds[i] = listening_at(&at, true);
	struct passed_sockets *sockets = passed(&ends, fds, 3);
	for (size_t i = 0; i < 2; i++) {
		int fd = passed_sockets_take(sockets, &at);
		assert_true(fd >= 0);
		fd_close(fd);
	}
	int rest = passed_sockets_take_any(sockets, &left);
	assert_true(rest >= 0 && addr_eq(&left, &at));
	fd_close(rest);
	assert_int_equal(passed_sockets_take(sockets, &at), -1);
	assert_int_equal(passed_sockets_take_any(sockets, &left), -1);
	for (size_t i = 0; i < 3; i++)
		fd_close(fds[i]);
	passed_sockets_free(sockets);
	ends_close(&ends);
}

static void many_come_in_several_messages(_unused_ void **state)
{
	enum { NUM = 300 };
	struct ends ends;
	struct addr at = {.port = 0};
	int fds[NUM];
	ends_open(&ends);
	fds[0] = listening_at(&at, false);
	for (size_t i = 1; i < NUM; i++)
		fds[i] = fds[0];
	struct passed_sockets *sockets = passed(&ends, fds, NUM);
	assert_int_equal(passed_sockets_num(sockets), NUM);
	passed_sockets_free(sockets);
	fd_close(fds[0]);
	ends_close(&ends);
}

static void what_does_not_listen_is_closed(_unused_ void **state)
{
	struct ends ends;
	ends_open(&ends);
	int fds[2] = {ends.giver, STDIN_FILENO};
	struct passed_sockets *sockets = passed(&ends, fds, 2);
	assert_int_equal(passed_sockets_num(sockets), 0);
	passed_sockets_free(sockets);
	ends_close(&ends);
}

static void a_line_of_text_is_the_reason(_unused_ void **state)
{
	static const char line[] = "unknown command; expected drain, quit or release\n";
	struct ends ends;
	struct why why = {0};
	struct passed_sockets *sockets = NULL;
	ends_open(&ends);
	assert_int_equal(send(ends.giver, line, strlen(line), 0), strlen(line));
	assert_int_equal(passed_sockets_receive(ends.taker, TIMEOUT_MS, &sockets, &why), ERR_REFUSED);
	assert_non_null(strstr(why.got, "unknown command; expected drain, quit or release"));
	ends_close(&ends);
}

static void an_end_before_all_have_come_is_an_error(_unused_ void **state)
{
	struct ends ends;
	struct passed_sockets *sockets = NULL;
	ends_open(&ends);
	fd_close(ends.giver);
	assert_int_equal(passed_sockets_receive(ends.taker, TIMEOUT_MS, &sockets, NULL), ERR_CLOSED);
	fd_close(ends.taker);
	ends_open(&ends);
	assert_int_equal(passed_sockets_receive(ends.taker, 1, &sockets, NULL), ERR_TIMEOUT);
	ends_close(&ends);
}

static void output_goes_where_the_other_process_writes(_unused_ void **state)
{
	struct ends ends;
	int pipe_fds[2], saved = dup(STDOUT_FILENO), saved_error = dup(STDERR_FILENO);
	char text[8] = "";
	ends_open(&ends);
	assert_int_equal(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDOUT_FILENO);
	assert_int_equal(passed_sockets_send(ends.giver, NULL, 0, NULL), ERR_NONE);
	dup2(saved, STDOUT_FILENO);
	struct passed_sockets *sockets = NULL;
	assert_int_equal(passed_sockets_receive(ends.taker, TIMEOUT_MS, &sockets, NULL), ERR_NONE);
	assert_int_equal(passed_sockets_use_outputs(sockets, NULL), ERR_NONE);
	assert_int_equal(write(STDOUT_FILENO, "there", 5), 5);
	dup2(saved, STDOUT_FILENO);
	dup2(saved_error, STDERR_FILENO);
	assert_int_equal(read(pipe_fds[0], text, sizeof text - 1), 5);
	assert_string_equal(text, "there");
	passed_sockets_free(sockets);
	for (size_t i = 0; i < 2; i++)
		fd_close(pipe_fds[i]);
	fd_close(saved);
	fd_close(saved_error);
	ends_close(&ends);
}

/* A process of another network namespace, which gives a socket that listens there. Never returns. */
static void give_from_elsewhere(int fd)
{
	struct addr at = {.port = 0};
	const struct socket_listen_options how = {.backlog = 1};
	int listening;
	if (unshare(CLONE_NEWNET) != 0)
		_exit(ELSEWHERE_IS_DENIED);
	bool is_given = ip_addr_parse(SPAN_LITERAL("0.0.0.0"), &at.ip) == ERR_NONE &&
			socket_listen(&at, &how, &listening, NULL) == ERR_NONE &&
			passed_sockets_send(fd, &listening, 1, NULL) == ERR_NONE;
	_exit(is_given ? 0 : 1);
}

static void sockets_of_another_network_namespace_are_noticed(_unused_ void **state)
{
	struct ends ends;
	struct passed_sockets *sockets = NULL;
	int status;
	ends_open(&ends);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		give_from_elsewhere(ends.giver);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	bool is_denied = WIFEXITED(status) && WEXITSTATUS(status) == ELSEWHERE_IS_DENIED;
	if (!is_denied) {
		assert_int_equal(status, 0);
		assert_int_equal(passed_sockets_receive(ends.taker, TIMEOUT_MS, &sockets, NULL), ERR_NONE);
		assert_int_equal(passed_sockets_num(sockets), 1);
		assert_false(passed_sockets_are_of_this_network(sockets));
		passed_sockets_free(sockets);
	}
	ends_close(&ends);
	if (is_denied)
		skip(); /* a network namespace needs root */
}

static void sockets_of_the_same_network_namespace_are_its_own(_unused_ void **state)
{
	struct ends ends;
	struct addr at = {.port = 0};
	ends_open(&ends);
	int fd = listening_at(&at, false);
	struct passed_sockets *sockets = passed(&ends, &fd, 1), *none = passed(&ends, NULL, 0);
	assert_true(passed_sockets_are_of_this_network(sockets));
	assert_true(passed_sockets_are_of_this_network(none));
	passed_sockets_free(sockets);
	passed_sockets_free(none);
	fd_close(fd);
	ends_close(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_that_waited_is_accepted_by_the_other_process),
		cmocka_unit_test(each_of_several_at_one_address_is_taken_once),
		cmocka_unit_test(many_come_in_several_messages),
		cmocka_unit_test(what_does_not_listen_is_closed),
		cmocka_unit_test(a_line_of_text_is_the_reason),
		cmocka_unit_test(an_end_before_all_have_come_is_an_error),
		cmocka_unit_test(sockets_of_another_network_namespace_are_noticed),
		cmocka_unit_test(sockets_of_the_same_network_namespace_are_its_own),
		cmocka_unit_test(output_goes_where_the_other_process_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
