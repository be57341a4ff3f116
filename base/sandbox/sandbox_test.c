/* What holds for all roles, and for the sidecar, the control plane and its signer. */
#include "base/core/cleanup.h"
#include "base/sandbox/test_sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires setjmp.h, stdarg.h, stddef.h and stdint.h */
#include <cmocka.h>

/* --- forbidden to all roles --- */

static void end_another_process(void)
{
	syscall(SYS_kill, (long)getppid(), 0L);
}

static void finding_l13_a_forbidden_call_ends_the_process(void **state)
{
	static act_fn *const acts[] = {act_run_another_program, act_fork_a_process, act_inspect_a_process,
		act_make_a_namespace, act_load_a_program_into_the_kernel, act_queue_calls_past_the_filter,
		act_make_a_file_of_memory, act_map_code, act_change_user, end_another_process,
		act_end_another_process_by_its_thread, act_limit_another_process, act_read_another_process,
		act_take_a_descriptor_of_another_process, act_inject_input, act_open_a_raw_socket,
		act_listen_to_the_wire, act_enter_a_namespace, act_mount_a_folder};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		for (unsigned role = SANDBOX_SIDECAR; role <= SANDBOX_COMMAND; role++)
			assert_killed((enum sandbox_role)role, acts[i]);
}

/* --- allowed to some roles --- */

static void wait_for_a_child(void)
{
	int status;
	if (waitpid(-1, &status, WNOHANG) >= 0 || errno != ECHILD)
		_exit(CHILD_WRONG);
}

static void the_signer_has_no_network(void **state)
{
	static act_fn *const acts[] = {act_open_a_socket, act_wait_for_events, act_start_a_thread};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
		assert_fine(SANDBOX_SIDECAR, acts[i]);
		assert_fine(SANDBOX_CONTROL, acts[i]);
		assert_killed(SANDBOX_SIGNER, acts[i]);
	}
	assert_fine(SANDBOX_CONTROL, wait_for_a_child);
	assert_killed(SANDBOX_SIDECAR, wait_for_a_child);
	for (unsigned role = SANDBOX_SIDECAR; role <= SANDBOX_SIGNER; role++)
		assert_fine((enum sandbox_role)role, act_read_a_file);
}

/* --- allowed to all roles, for the own process --- */

static void ask_for_the_own_limits(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(CHILD_WRONG);
}

static void ends_itself_by_abort_and_knows_its_limits(void **state)
{
	(void)state;
	for (unsigned role = SANDBOX_SIDECAR; role <= SANDBOX_SIGNER; role++) {
		int status = sandbox_status_of((enum sandbox_role)role, abort);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		status = sandbox_status_of((enum sandbox_role)role, ask_for_the_own_limits);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FINE);
	}
}

/* --- beside the filter --- */

static void give_up_all_capabilities(void)
{
	struct why why;
	char path[] = "/proc/self/status", text[4096];
	if (sandbox_close(&why) != ERR_NONE || sandbox_drop_capabilities(&why) != ERR_NONE)
		_exit(CHILD_WRONG);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	text[len < 0 ? 0 : len] = '\0';
	if (strstr(text, "CapEff:\t0000000000000000") == NULL || strstr(text, "CapPrm:\t0000000000000000") == NULL)
		_exit(CHILD_WRONG);
}

static void has_no_capability_afterwards(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();
	if (child == 0) {
		give_up_all_capabilities();
		_exit(CHILD_FINE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FINE);
}

/* --- threads that exist already --- */

static int gate[2];

static void *act_when_let(void *arg)
{
	char byte;
	(void)arg;
	if (read(gate[0], &byte, 1) == 1)
		act_make_a_namespace();
	return NULL;
}

static void restricts_threads_that_exist_already(void **state)
{
	int status;
	(void)state;
	assert_int_equal(pipe(gate), 0);
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		struct why why;
		if (pthread_create(&thread, NULL, act_when_let, NULL) != 0 ||
			sandbox_enter(SANDBOX_SIDECAR, &why) != ERR_NONE)
			_exit(CHILD_WITHOUT_FILTER);
		(void)!write(gate[1], "x", 1);
		pthread_join(thread, NULL);
		_exit(CHILD_FINE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* --- a filter outside that refuses seccomp() --- */

/* As systemd's SystemCallFilter without seccomp does. */
static bool refuse_filters(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void enter_where_filters_are_refused(void)
{
	struct why why = {0};
	if (!refuse_filters())
		_exit(CHILD_WITHOUT_FILTER);
	if (sandbox_enter(SANDBOX_RULES, &why) != ERR_UNSUPPORTED ||
		strstr(why.got, "seccomp() is refused (Operation not permitted)") == NULL ||
		strstr(why.fix, "SystemCallFilter=seccomp") == NULL || strstr(why.fix, "...") != NULL)
		_exit(CHILD_WRONG);
}

static void the_report_names_a_filter_outside_that_refuses_ours(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();
	if (child == 0) {
		enter_where_filters_are_refused();
		_exit(CHILD_FINE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FINE);
}

int main(void)
{
	if (!sandbox_is_built_in())
		return 0; /* nothing to test */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_l13_a_forbidden_call_ends_the_process),
		cmocka_unit_test(ends_itself_by_abort_and_knows_its_limits),
		cmocka_unit_test(the_signer_has_no_network),
		cmocka_unit_test(has_no_capability_afterwards),
		cmocka_unit_test(restricts_threads_that_exist_already),
		cmocka_unit_test(the_report_names_a_filter_outside_that_refuses_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
