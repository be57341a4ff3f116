#include "base/core/cleanup.h"
#include "base/sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { CHILD_FINE = 0, CHILD_WITHOUT_FILTER = 7, CHILD_WRONG = 8 };

typedef void act_fn(void);

/* Runs `act` in a child that has entered `role`; returns the wait status. */
static int status_of(enum sandbox_role role, act_fn *act)
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct why why;
		if (sandbox_enter(role, &why) != ERR_NONE)
			_exit(CHILD_WITHOUT_FILTER);
		act();
		_exit(CHILD_FINE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* --- forbidden to all roles --- */

static void run_another_program(void)
{
	char path[] = "/bin/true", *argv[] = {path, NULL};
	execve(path, argv, argv + 1);
}

static void fork_a_process(void)
{
	(void)!fork();
}

static void inspect_a_process(void)
{
	syscall(SYS_ptrace, 0L, 0L, 0L, 0L);
}

static void make_a_namespace(void)
{
	syscall(SYS_unshare, 0L);
}

static void load_a_program_into_the_kernel(void)
{
	syscall(SYS_bpf, 0L, NULL, 0L);
}

static void queue_calls_past_the_filter(void)
{
	syscall(SYS_io_uring_setup, 1L, NULL);
}

static void make_a_file_of_memory(void)
{
	syscall(SYS_memfd_create, "x", 0L);
}

static void map_code(void)
{
	syscall(SYS_mmap, NULL, 4096L, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1L, 0L);
}

static void change_user(void)
{
	syscall(SYS_setuid, 0L);
}

static void end_another_process(void)
{
	syscall(SYS_kill, (long)getppid(), 0L);
}

static void end_another_process_by_its_thread(void)
{
	syscall(SYS_tgkill, (long)getppid(), (long)getppid(), 0L);
}

static void limit_another_process(void)
{
	syscall(SYS_prlimit64, (long)getppid(), (long)RLIMIT_CPU, NULL, NULL);
}

static void read_another_process(void)
{
	syscall(SYS_process_vm_readv, (long)getppid(), NULL, 0L, NULL, 0L, 0L);
}

static void take_a_descriptor_of_another_process(void)
{
	syscall(SYS_pidfd_getfd, -1L, 0L, 0L);
}

static void inject_input(void)
{
	syscall(SYS_ioctl, 0L, 0x5412L /* TIOCSTI */, "x");
}

static void open_a_raw_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_RAW | SOCK_CLOEXEC, 6);
}

static void listen_to_the_wire(void)
{
	syscall(SYS_socket, AF_PACKET, SOCK_DGRAM, 0);
}

static void fork_and_ask_for_rules(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	pid_t child = fork();
	if (child == 0)
		_exit(CHILD_FINE);
	if (fd < 0 || close(fd) != 0 || child < 0)
		_exit(CHILD_WRONG);
}

static void assert_fine(enum sandbox_role role, act_fn *act)
{
	int status = status_of(role, act);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_FINE);
}

static void assert_killed(enum sandbox_role role, act_fn *act)
{
	int status = status_of(role, act);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void finding_l13_a_forbidden_call_ends_the_process(void **state)
{
	static act_fn *const acts[] = {run_another_program, fork_a_process, inspect_a_process, make_a_namespace,
		load_a_program_into_the_kernel, queue_calls_past_the_filter, make_a_file_of_memory, map_code,
		change_user, end_another_process, end_another_process_by_its_thread, limit_another_process,
		read_another_process, take_a_descriptor_of_another_process, inject_input, open_a_raw_socket,
		listen_to_the_wire};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		for (unsigned role = SANDBOX_SIDECAR; role <= SANDBOX_COMMAND; role++)
			assert_killed((enum sandbox_role)role, acts[i]);
}

/* It runs as root in the network namespace of a workload. */
static void finding_l13_the_rules_are_written_without_other_powers(void **state)
{
	static act_fn *const acts[] = {run_another_program, inspect_a_process, make_a_namespace,
		load_a_program_into_the_kernel, queue_calls_past_the_filter, make_a_file_of_memory, map_code,
		limit_another_process, read_another_process, take_a_descriptor_of_another_process, inject_input,
		open_a_raw_socket, listen_to_the_wire};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		assert_killed(SANDBOX_RULES, acts[i]);
	assert_fine(SANDBOX_RULES, fork_and_ask_for_rules);
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
		int status = status_of((enum sandbox_role)role, abort);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		status = status_of((enum sandbox_role)role, ask_for_the_own_limits);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FINE);
	}
}

/* --- forbidden to some roles --- */

static void open_a_socket(void)
{
	int stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int datagram = socket(AF_INET6, SOCK_DGRAM, 0);
	if (stream < 0 || datagram < 0 || close(stream) != 0 || close(datagram) != 0)
		_exit(CHILD_WRONG);
}

static void wait_for_events(void)
{
	struct epoll_event event = {0};
	int fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || epoll_wait(fd, &event, 1, 0) != 0)
		_exit(CHILD_WRONG);
}

static void *answer(void *arg)
{
	return arg;
}

static void start_a_thread(void)
{
	pthread_t thread;
	void *result = NULL;
	static int given;
	if (pthread_create(&thread, NULL, answer, &given) != 0 || pthread_join(thread, &result) != 0 ||
		result != &given)
		_exit(CHILD_WRONG);
}

static void wait_for_a_child(void)
{
	int status;
	if (waitpid(-1, &status, WNOHANG) >= 0 || errno != ECHILD)
		_exit(CHILD_WRONG);
}

static void read_a_file(void)
{
	char byte;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &byte, 1) != 1 || close(fd) != 0)
		_exit(CHILD_WRONG);
}

static void the_signer_has_no_network(void **state)
{
	static act_fn *const acts[] = {open_a_socket, wait_for_events, start_a_thread};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
		assert_fine(SANDBOX_SIDECAR, acts[i]);
		assert_fine(SANDBOX_CONTROL, acts[i]);
		assert_killed(SANDBOX_SIGNER, acts[i]);
	}
	assert_fine(SANDBOX_CONTROL, wait_for_a_child);
	assert_killed(SANDBOX_SIDECAR, wait_for_a_child);
	for (unsigned role = SANDBOX_SIDECAR; role <= SANDBOX_SIGNER; role++)
		assert_fine((enum sandbox_role)role, read_a_file);
}

/* --- threads that exist already --- */

static int gate[2];

static void *act_when_let(void *arg)
{
	char byte;
	(void)arg;
	if (read(gate[0], &byte, 1) == 1)
		make_a_namespace();
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

int main(void)
{
	if (!sandbox_is_built_in())
		return 0; /* nothing to test */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_l13_a_forbidden_call_ends_the_process),
		cmocka_unit_test(ends_itself_by_abort_and_knows_its_limits),
		cmocka_unit_test(finding_l13_the_rules_are_written_without_other_powers),
		cmocka_unit_test(the_signer_has_no_network),
		cmocka_unit_test(restricts_threads_that_exist_already),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
