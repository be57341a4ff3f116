#include "base/net/test_namespace.h"
#include "intercept/rollback.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

/* The guard's exit code shows what it did. */
static void leave_with_7(_unused_ void *arg)
{
	_exit(7);
}

static int exit_code_of(pid_t guard)
{
	int status = 0;
	assert_int_equal(waitpid(guard, &status, 0), guard);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void rolls_back_without_a_confirmation(_unused_ void **state)
{
	pid_t guard = -1;
	assert_int_equal(rollback_arm(1, leave_with_7, NULL, &guard, NULL), ERR_NONE);
	assert_int_equal(exit_code_of(guard), 7);
	assert_int_equal(rollback_confirm(NULL), ERR_NOT_FOUND);
}

static void changes_nothing_when_confirmed(_unused_ void **state)
{
	pid_t guard = -1;
	assert_int_equal(rollback_arm(600, leave_with_7, NULL, &guard, NULL), ERR_NONE);
	assert_int_equal(rollback_confirm(NULL), ERR_NONE);
	assert_int_equal(exit_code_of(guard), 0);
}

static void refuses_a_second_guard_beside_the_first(_unused_ void **state)
{
	pid_t guard = -1, second = -1;
	struct why why = {0};
	assert_int_equal(rollback_arm(600, leave_with_7, NULL, &guard, NULL), ERR_NONE);
	assert_int_equal(rollback_arm(600, leave_with_7, NULL, &second, &why), ERR_EXISTS);
	assert_int_equal(second, -1);
	assert_int_equal(rollback_confirm(NULL), ERR_NONE);
	assert_int_equal(exit_code_of(guard), 0);
}

static void is_not_confirmed_by_another_user(_unused_ void **state)
{
	pid_t guard = -1;
	assert_int_equal(rollback_arm(600, leave_with_7, NULL, &guard, NULL), ERR_NONE);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(rollback_confirm(NULL), ERR_DENIED);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rollback_confirm(NULL), ERR_NONE);
	assert_int_equal(exit_code_of(guard), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rolls_back_without_a_confirmation),
		cmocka_unit_test(changes_nothing_when_confirmed),
		cmocka_unit_test(refuses_a_second_guard_beside_the_first),
		cmocka_unit_test(is_not_confirmed_by_another_user),
	};
	return cmocka_run_group_tests(tests, test_namespace_enter, NULL);
}
