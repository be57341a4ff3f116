#include "base/core/check.h"
#include "base/core/cleanup.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

/* Runs in a child; its standard error goes to `fd`. */
static _Noreturn void fail_in_child(int fd)
{
	signal(SIGABRT, SIG_DFL);
	dup2(fd, STDERR_FILENO);
	CHECK(1 + 1 == 3);
	_exit(0);
}

static void ends_the_process_and_prints_where(_unused_ void **state)
{
	int fds[2], status;
	char text[512] = "";
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		fail_in_child(fds[1]);
	close(fds[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(read(fds[0], text, sizeof text - 1) > 0);
	close(fds[0]);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "1 + 1 == 3 at base/core/check_test.c:"));
}

static void prints_nothing_when_the_condition_holds(_unused_ void **state)
{
	CHECK(1 + 1 == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_the_process_and_prints_where),
		cmocka_unit_test(prints_nothing_when_the_condition_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
