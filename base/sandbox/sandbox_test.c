#include "base/core/cleanup.h"
#include "base/sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
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

static void enter_a_namespace(void)
{
	syscall(SYS_setns, -1L, (long)CLONE_NEWNET);
}

static void mount_a_folder(void)
{
	syscall(SYS_mount, "/tmp", "/tmp", NULL, (long)MS_BIND, NULL);
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
		listen_to_the_wire, enter_a_namespace, mount_a_folder};
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

/* --- allowed to some roles --- */

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

/* --- processes that start others --- */

/* What the dynamic linker does, and a program. */
static void start_a_program(void)
{
	char path[] = "/bin/true", *argv[] = {path, NULL};
	int status;
	pid_t child = fork();
	if (child == 0)
		execve(path, argv, argv + 1);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		_exit(CHILD_WRONG);
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
	static act_fn *const acts[] = {inspect_a_process, make_a_namespace, load_a_program_into_the_kernel,
		queue_calls_past_the_filter, make_a_file_of_memory, limit_another_process, read_another_process,
		take_a_descriptor_of_another_process, inject_input, open_a_raw_socket, listen_to_the_wire,
		enter_a_mount_namespace, mount_a_folder, fork_into_a_namespace, start_a_thread_in_a_namespace};
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		assert_killed(SANDBOX_STARTER, acts[i]);
	assert_fine(SANDBOX_STARTER, start_a_program);
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
	static act_fn *const acts[] = {
		run_another_program, fork_a_process, end_another_process_by_its_thread, limit_another_process};
	(void)state;
	assert_fine(SANDBOX_NOTIFIER, signal_the_parent);
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		assert_killed(SANDBOX_NOTIFIER, acts[i]);
}

/* --- a vendor's library --- */

static void assert_missing(enum sandbox_role role, act_fn *act)
{
	int status = status_of(role, act);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS);
}

static void fork_and_report(void)
{
	if (fork() < 0)
		_exit(errno);
}

static void make_a_file_of_memory_and_report(void)
{
	if (syscall(SYS_memfd_create, "x", 0L) < 0)
		_exit(errno);
}

static void share_code_and_report(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
	void *at = shmat(id, NULL, SHM_EXEC);
	int err = errno;
	(void)shmctl(id, IPC_RMID, NULL);
	if (at == MAP_FAILED)
		_exit(err);
}

static void map_code_and_report(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0);
	if (at == MAP_FAILED)
		_exit(errno);
	(void)munmap(at, 4096);
}

static void inject_input_and_report(void)
{
	/* The kernel takes the lower half of the register. */
	if (syscall(SYS_ioctl, 0L, 0x100005412L /* TIOCSTI */, "x") < 0)
		_exit(errno);
}

static void ask_a_device(void)
{
	if (ioctl(-1, 0x80045500L /* of USB */, NULL) == 0 || errno != EBADF || ioctl(-1, TCGETS, NULL) == 0 ||
		errno != EBADF)
		_exit(CHILD_WRONG);
}

static void load_a_library(void)
{
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED || munmap(at, 4096) != 0)
		_exit(CHILD_WRONG);
}

static void share_and_lock_memory(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	void *at = id < 0 ? MAP_FAILED : shmat(id, NULL, 0);
	if (at == MAP_FAILED || mlock(at, 4096) != 0 || shmdt(at) != 0 || shmctl(id, IPC_RMID, NULL) != 0)
		_exit(CHILD_WRONG);
}

static void a_module_may_do_much_but_start_nothing(void **state)
{
	static act_fn *const ends[] = {run_another_program, inspect_a_process, make_a_namespace,
		load_a_program_into_the_kernel, change_user, read_another_process, take_a_descriptor_of_another_process,
		enter_a_namespace, mount_a_folder};
	static act_fn *const missing[] = {fork_and_report, make_a_file_of_memory_and_report, map_code_and_report,
		share_code_and_report, inject_input_and_report};
	static act_fn *const fine[] = {open_a_socket, wait_for_events, start_a_thread, read_a_file, ask_a_device,
		load_a_library, share_and_lock_memory};
	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		assert_killed(SANDBOX_MODULE, ends[i]);
	for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
		assert_missing(SANDBOX_MODULE, missing[i]);
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
		assert_fine(SANDBOX_MODULE, fine[i]);
}

/* --- a program of the operator's --- */

static void fail_at_attacks(void)
{
	static const long numbers[] = {SYS_ptrace, SYS_mount, SYS_unshare, SYS_setns, SYS_bpf, SYS_process_vm_readv,
		SYS_pidfd_getfd, SYS_open_tree, SYS_fsopen, SYS_fsconfig, SYS_fspick, SYS_fsmount, SYS_move_mount,
		SYS_mount_setattr, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_userfaultfd,
		SYS_perf_event_open, SYS_keyctl, SYS_add_key, SYS_request_key};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (syscall(numbers[i], -1L, 0L, 0L, 0L, 0L, 0L) != -1 || errno != EPERM)
			_exit(CHILD_WRONG);
}

static void stay_in_the_namespaces(void)
{
	static const long namespaces[] = {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
		CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET};
	for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++) {
		long child = syscall(SYS_clone, namespaces[i] | SIGCHLD, NULL, NULL, NULL, NULL);
		if (child == 0)
			_exit(CHILD_FINE);
		if (child > 0 || errno != EPERM)
			_exit(CHILD_WRONG);
	}
	if (syscall(SYS_clone3, NULL, 0L) != -1 || errno != ENOSYS)
		_exit(CHILD_WRONG);
}

#if defined(__x86_64__)
#define X32 0x40000000L

/* As a program of 32 bits calls. */
static long call_32(long number, long first)
{
	long result;
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(0), "d"(0), "S"(0), "D"(0)
			 : "memory");
	return result;
}

static void call_as_a_program_of_32_bits(void)
{
	enum { GETPID = 20, MOUNT = 21, PTRACE = 26, CLONE = 120, UNSHARE = 310, CLONE3 = 435 };
	if (call_32(GETPID, 0) != getpid() || call_32(PTRACE, -1) != -EPERM || call_32(MOUNT, 0) != -EPERM ||
		call_32(UNSHARE, 0) != -EPERM || call_32(CLONE3, 0) != -ENOSYS ||
		call_32(CLONE, CLONE_NEWUSER | SIGCHLD) != -EPERM)
		_exit(CHILD_WRONG);
}

static void call_by_numbers_of_x32(void)
{
	if (syscall(X32 | SYS_mount, 0L, 0L, 0L, 0L, 0L) != -1 || errno != EPERM)
		_exit(CHILD_WRONG);
	if (syscall(X32 | SYS_getpid) < 0 && errno != ENOSYS) /* few kernels have them */
		_exit(CHILD_WRONG);
}

static void a_program_of_another_architecture_is_refused_the_same(void **state)
{
	(void)state;
	assert_fine(SANDBOX_FOREIGN, call_as_a_program_of_32_bits);
	assert_fine(SANDBOX_FOREIGN, call_by_numbers_of_x32);
	assert_killed(SANDBOX_SIDECAR, call_as_a_program_of_32_bits);
	assert_killed(SANDBOX_MODULE, call_by_numbers_of_x32);
}
#endif

static void a_program_of_the_operators_does_what_is_no_attack(void **state)
{
	static act_fn *const fine[] = {start_a_program, open_a_socket, start_a_thread, make_a_file_of_memory,
		fork_a_process, share_and_lock_memory, fail_at_attacks, stay_in_the_namespaces};
	(void)state;
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
		assert_fine(SANDBOX_FOREIGN, fine[i]);
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
		cmocka_unit_test(finding_l13_the_rules_are_written_without_other_powers),
		cmocka_unit_test(the_signer_has_no_network),
		cmocka_unit_test(what_starts_programs_has_no_other_powers),
		cmocka_unit_test(what_notifies_sends_signals_alone),
		cmocka_unit_test(a_module_may_do_much_but_start_nothing),
		cmocka_unit_test(a_program_of_the_operators_does_what_is_no_attack),
#if defined(__x86_64__)
		cmocka_unit_test(a_program_of_another_architecture_is_refused_the_same),
#endif
		cmocka_unit_test(has_no_capability_afterwards),
		cmocka_unit_test(restricts_threads_that_exist_already),
		cmocka_unit_test(the_report_names_a_filter_outside_that_refuses_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
