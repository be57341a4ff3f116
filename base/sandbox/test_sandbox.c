#include "base/sandbox/test_sandbox.h"

#include "base/core/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires setjmp.h, stdarg.h, stddef.h and stdint.h */
#include <cmocka.h>

/* Runs `act` in a child that has entered `role`; returns the wait status. */
int sandbox_status_of(enum sandbox_role role, act_fn *act)
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

void assert_fine(enum sandbox_role role, act_fn *act)
{
	int status = sandbox_status_of(role, act);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_FINE);
}

void assert_killed(enum sandbox_role role, act_fn *act)
{
	int status = sandbox_status_of(role, act);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

void assert_missing(enum sandbox_role role, act_fn *act)
{
	int status = sandbox_status_of(role, act);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS);
}

/* --- what attacks need, and what the programs do --- */

void act_run_another_program(void)
{
	char path[] = "/bin/true", *argv[] = {path, NULL};
	execve(path, argv, argv + 1);
}

void act_fork_a_process(void)
{
	(void)!fork();
}

void act_inspect_a_process(void)
{
	syscall(SYS_ptrace, 0L, 0L, 0L, 0L);
}

void act_make_a_namespace(void)
{
	syscall(SYS_unshare, 0L);
}

void act_load_a_program_into_the_kernel(void)
{
	syscall(SYS_bpf, 0L, NULL, 0L);
}

void act_queue_calls_past_the_filter(void)
{
	syscall(SYS_io_uring_setup, 1L, NULL);
}

void act_make_a_file_of_memory(void)
{
	syscall(SYS_memfd_create, "x", 0L);
}

void act_map_code(void)
{
	syscall(SYS_mmap, NULL, 4096L, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1L, 0L);
}

void act_change_user(void)
{
	syscall(SYS_setuid, 0L);
}

void act_end_another_process_by_its_thread(void)
{
	syscall(SYS_tgkill, (long)getppid(), (long)getppid(), 0L);
}

void act_limit_another_process(void)
{
	syscall(SYS_prlimit64, (long)getppid(), (long)RLIMIT_CPU, NULL, NULL);
}

void act_read_another_process(void)
{
	syscall(SYS_process_vm_readv, (long)getppid(), NULL, 0L, NULL, 0L, 0L);
}

void act_take_a_descriptor_of_another_process(void)
{
	syscall(SYS_pidfd_getfd, -1L, 0L, 0L);
}

void act_inject_input(void)
{
	syscall(SYS_ioctl, 0L, 0x5412L /* TIOCSTI */, "x");
}

void act_open_a_raw_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_RAW | SOCK_CLOEXEC, 6);
}

void act_listen_to_the_wire(void)
{
	syscall(SYS_socket, AF_PACKET, SOCK_DGRAM, 0);
}

void act_enter_a_namespace(void)
{
	syscall(SYS_setns, -1L, (long)CLONE_NEWNET);
}

void act_mount_a_folder(void)
{
	syscall(SYS_mount, "/tmp", "/tmp", NULL, (long)MS_BIND, NULL);
}

void act_open_a_socket(void)
{
	int stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int datagram = socket(AF_INET6, SOCK_DGRAM, 0);
	if (stream < 0 || datagram < 0 || close(stream) != 0 || close(datagram) != 0)
		_exit(CHILD_WRONG);
}

void act_wait_for_events(void)
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

void act_start_a_thread(void)
{
	pthread_t thread;
	void *result = NULL;
	static int given;
	if (pthread_create(&thread, NULL, answer, &given) != 0 || pthread_join(thread, &result) != 0 ||
		result != &given)
		_exit(CHILD_WRONG);
}

void act_read_a_file(void)
{
	char byte;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &byte, 1) != 1 || close(fd) != 0)
		_exit(CHILD_WRONG);
}

/* What the dynamic linker does, and a program. */
void act_start_a_program(void)
{
	char path[] = "/bin/true", *argv[] = {path, NULL};
	int status;
	pid_t child = fork();
	if (child == 0)
		execve(path, argv, argv + 1);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		_exit(CHILD_WRONG);
}

void act_share_and_lock_memory(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	void *at = id < 0 ? MAP_FAILED : shmat(id, NULL, 0);
	if (at == MAP_FAILED || mlock(at, 4096) != 0 || shmdt(at) != 0 || shmctl(id, IPC_RMID, NULL) != 0)
		_exit(CHILD_WRONG);
}
