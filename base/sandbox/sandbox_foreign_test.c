/* The roles of code that is not ours: a vendor's library, a program of the operator's. */
#include "base/core/cleanup.h"
#include "base/sandbox/test_sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>
/* cmocka requires setjmp.h, stdarg.h, stddef.h and stdint.h */
#include <cmocka.h>

/* --- a vendor's library --- */

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

static void a_module_may_do_much_but_start_nothing(void **state)
{
	static act_fn *const ends[] = {act_run_another_program, act_inspect_a_process, act_make_a_namespace,
		act_load_a_program_into_the_kernel, act_change_user, act_read_another_process,
		act_take_a_descriptor_of_another_process, act_enter_a_namespace, act_mount_a_folder};
	static act_fn *const missing[] = {fork_and_report, make_a_file_of_memory_and_report, map_code_and_report,
		share_code_and_report, inject_input_and_report};
	static act_fn *const fine[] = {act_open_a_socket, act_wait_for_events, act_start_a_thread, act_read_a_file,
		ask_a_device, load_a_library, act_share_and_lock_memory};
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
	static act_fn *const fine[] = {act_start_a_program, act_open_a_socket, act_start_a_thread,
		act_make_a_file_of_memory, act_fork_a_process, act_share_and_lock_memory, fail_at_attacks,
		stay_in_the_namespaces};
	(void)state;
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
		assert_fine(SANDBOX_FOREIGN, fine[i]);
}

int main(void)
{
	if (!sandbox_is_built_in())
		return 0; /* nothing to test */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_module_may_do_much_but_start_nothing),
		cmocka_unit_test(a_program_of_the_operators_does_what_is_no_attack),
#if defined(__x86_64__)
		cmocka_unit_test(a_program_of_another_architecture_is_refused_the_same),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
