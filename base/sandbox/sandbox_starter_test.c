/* The roles of what starts programs, sends signals to others, or writes rules as root. */
#include "base/core/cleanup.h"
#include "base/sandbox/test_sandbox.h"
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
/* cmocka requires setjmp.h, stdarg.h, stddef.h and stdint.h */
#include <cmocka.h>

static void fork_and_ask_for_rules(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	pid_t child = fork();
	if (child == 0)
		_exit(CHILD_FINE);
	if (fd < 0 || close(fd) != 0 || child < 0)
		_exit(CHILD_WRONG);
}

static void enter_a_mount_namespace(void)
{
	syscall(SYS_setns, -1L, (long)CLONE_NEWNS);
}

static void start_a_thread_in_a_namespace(void)
{
	syscall(SYS_clone, (long)(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNET), NULL, NULL, NULL, NULL);
}

static void fork_into_a_namespace(void)
{
	syscall(SYS_clone, (long)(CLONE_NEWUSER | SIGCHLD), NULL, NULL, NULL, NULL);
}

/* It runs as root in the network namespace of a workload. */
static void finding_l13_the_rules_are_written_without_other_powers(void **state)
{
	static act_fn *const acts[] = {act_run_another_program, act_inspect_a_process, act_make_a_namespace,
		act_load_a_program_into_the_kernel, act_queue_calls_past_the_filter, act_make_a_file_of_memory,
		act_map_code, act_limit_another_process, act_read_another_process,
		act_take_a_descriptor_of_another_process, act_inject_input, act_open_a_raw_socket,
		act_listen_to_the_wire};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		assert_killed(SANDBOX_RULES, acts[i]);
	assert_fine(SANDBOX_RULES, fork_and_ask_for_rules);
}

static void ask_for_a_namespace(void)
{
	if (setns(-1, CLONE_NEWNET) == 0 || errno != EBADF)
		_exit(CHILD_WRONG);
}

static void restrict_itself_further(void)
{
	struct why why;
	if (sandbox_close(&why) != ERR_NONE || sandbox_enter(SANDBOX_RULES, &why) != ERR_NONE)
		_exit(CHILD_WRONG);
	fork_and_ask_for_rules();
}

static void restrict_itself_further_and_enter_a_namespace(void)
{
	restrict_itself_further();
	ask_for_a_namespace();
}

static void what_starts_programs_has_no_other_powers(void **state)
{
	static act_fn *const acts[] = {act_inspect_a_process, act_make_a_namespace, act_load_a_program_into_the_kernel,
		act_queue_calls_past_the_filter, act_make_a_file_of_memory, act_limit_another_process,
		act_read_another_process, act_take_a_descriptor_of_another_process, act_inject_input,
		act_open_a_raw_socket, act_listen_to_the_wire, enter_a_mount_namespace, act_mount_a_folder,
		fork_into_a_namespace, start_a_thread_in_a_namespace};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		assert_killed(SANDBOX_STARTER, acts[i]);
	assert_fine(SANDBOX_STARTER, act_start_a_program);
	assert_fine(SANDBOX_STARTER, ask_for_a_namespace);
	assert_fine(SANDBOX_STARTER, restrict_itself_further);
	assert_killed(SANDBOX_STARTER, restrict_itself_further_and_enter_a_namespace);
	assert_killed(SANDBOX_PARENT, ask_for_a_namespace);
	assert_killed(SANDBOX_PARENT, fork_and_ask_for_rules);
}

static void signal_the_parent(void)
{
	if (kill(getppid(), 0) != 0)
		_exit(CHILD_WRONG);
}

static void what_notifies_sends_signals_alone(void **state)
{
	static act_fn *const acts[] = {act_run_another_program, act_fork_a_process,
		act_end_another_process_by_its_thread, act_limit_another_process};
	(void)state;
	assert_fine(SANDBOX_NOTIFIER, signal_the_parent);
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		assert_killed(SANDBOX_NOTIFIER, acts[i]);
}

int main(void)
{
	if (!sandbox_is_built_in())
		return 0; /* nothing to test */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_l13_the_rules_are_written_without_other_powers),
		cmocka_unit_test(what_starts_programs_has_no_other_powers),
		cmocka_unit_test(what_notifies_sends_signals_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
