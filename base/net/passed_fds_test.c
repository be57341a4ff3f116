#include "base/net/fd.h"
#include "base/net/passed_fds.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void ends_open(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
}

static void ends_close(int ends[2])
{
	fd_close(ends[0]);
	fd_close(ends[1]);
}

static void bytes_and_descriptors_arrive_together(_unused_ void **state)
{
	int ends[2], pipes[2];
	char line[8] = "", byte = 0;
	size_t len = 0;
	struct passed_fds passed;
	ends_open(ends);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(passed_fds_send(ends[0], SPAN_LITERAL("taken\n"), &pipes[0], 1), ERR_NONE);
	assert_int_equal(passed_fds_send(ends[0], SPAN_LITERAL("next\n"), NULL, 0), ERR_NONE);
	assert_int_equal(passed_fds_receive(ends[1], line, 6, &len, &passed), ERR_NONE);
	assert_int_equal(len, 6);
	assert_memory_equal(line, "taken\n", 6);
	assert_int_equal(passed.num, 1);
	assert_int_equal(fcntl(passed.fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(passed.fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	passed_fds_close(&passed);
	assert_int_equal(passed.num, 0);
	assert_int_equal(passed_fds_receive(ends[1], line, sizeof line, &len, &passed), ERR_NONE);
	assert_int_equal(passed.num, 0);
	assert_memory_equal(line, "next\n", 5);
	ends_close(pipes);
	ends_close(ends);
}

static void a_reader_of_bytes_alone_gets_the_bytes(_unused_ void **state)
{
	int ends[2], pipes[2];
	char line[8] = "", byte = 0;
	ends_open(ends);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(passed_fds_send(ends[0], SPAN_LITERAL("taken\n"), &pipes[1], 1), ERR_NONE);
	assert_int_equal(read(ends[1], line, sizeof line), 6);
	fd_close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 0); /* the other end is closed */
	fd_close(pipes[0]);
	ends_close(ends);
}

static void nothing_yet_and_the_end_are_two_results(_unused_ void **state)
{
	int ends[2];
	char line[8];
	size_t len = 7;
	struct passed_fds passed = {.num = 9};
	ends_open(ends);
	assert_int_equal(passed_fds_receive(ends[1], line, sizeof line, &len, &passed), ERR_UNAVAILABLE);
	assert_int_equal(len, 0);
	assert_int_equal(passed.num, 0);
	fd_close(ends[0]);
	assert_int_equal(passed_fds_receive(ends[1], line, sizeof line, &len, &passed), ERR_CLOSED);
	assert_int_not_equal(passed_fds_send(ends[1], SPAN_LITERAL("x"), NULL, 0), ERR_NONE);
	fd_close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_descriptors_arrive_together),
		cmocka_unit_test(a_reader_of_bytes_alone_gets_the_bytes),
		cmocka_unit_test(nothing_yet_and_the_end_are_two_results),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
