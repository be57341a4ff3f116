#include "intercept/cni/starter.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMPONENT "starter"

enum {
	RUNS_MAX = 16,
	ARGUMENTS_MAX = 8,
	CODE_MS = 5000, /* the program has closed its output: it ends now */
	REQUESTS_FD = 3,
	FIRST_UNUSED_FD = 4,
};

enum passed { PASSED_NETNS, PASSED_OUT, PASSED_STATUS, PASSED_NUM };

struct starter {
	int fd;
	pid_t pid;
};

union control {
	struct cmsghdr header; /* aligns it */
	char bytes[CMSG_SPACE(PASSED_NUM * sizeof(int))];
};

/* --- in the started program's process --- */

/* A runtime sets lo up before this plugin, after it, or at the same time; the rules need it. */
static bool set_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd;
	if (fd_socket(AF_INET, SOCK_DGRAM, &fd) != ERR_NONE || ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		return false;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

/* Rules in the node's own namespace would cut the node off: the agent asks for none, and one that was taken over may
 * not. */
static bool enter_namespace(int netns)
{
	struct stat own, given;
	if (stat("/proc/self/ns/net", &own) != 0 || fstat(netns, &given) != 0 ||
		(own.st_ino == given.st_ino && own.st_dev == given.st_dev))
		return false;
	return setns(netns, CLONE_NEWNET) == 0;
}

static void take_signals_back(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
}

static _Noreturn void become_program(
	const char *program, char *const *arguments, bool checks, const int fds[PASSED_NUM])
{
	char *const no_environment[] = {NULL};
	take_signals_back();
	if (!enter_namespace(fds[PASSED_NETNS]))
		_exit(STARTER_NO_NAMESPACE);
	if (!checks && !set_loopback_up())
		_exit(STARTER_NO_LOOPBACK);
	if (dup2(fds[PASSED_OUT], STDOUT_FILENO) != STDOUT_FILENO)
		_exit(STARTER_NO_PROGRAM);
	execve(program, arguments, no_environment);
	_exit(STARTER_NO_PROGRAM);
}

/* Each value is one word of a program that is started without a shell. */
static void put_arguments(const struct starter_question *question, char *out[ARGUMENTS_MAX])
{
	size_t num = 0;
	const struct {
		const char *flag, *value;
	} lists[] = {
		{"exclude-inbound-ports", question->rules.exclude_inbound_ports},
		{"exclude-outbound-ports", question->rules.exclude_outbound_ports},
		{"exclude-outbound-networks", question->rules.exclude_outbound_networks},
		{"mode", question->rules.keeps_source ? "tproxy" : ""},
	};
	out[num++] = mem_strdup("handfast-init");
	out[num++] = mem_strdup(question->checks ? "check" : "up");
	out[num++] = mem_strdup("--output=json");
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (lists[i].value[0] != '\0')
			out[num++] = mem_printf("--%s=%s", lists[i].flag, lists[i].value);
	CHECK(num < ARGUMENTS_MAX);
	out[num] = NULL;
}

/* --- the starter --- */

struct started {
	pid_t pid; /* 0: this place is free */
	int status_fd;
};

struct starting {
	const char *program;
	int signals;
	struct started runs[RUNS_MAX];
};

static struct started *find(struct starting *starting, pid_t pid)
{
	for (size_t i = 0; i < RUNS_MAX; i++)
		if (starting->runs[i].pid == pid)
			return &starting->runs[i];
	return NULL;
}

static void report(int status_fd, int code)
{
	(void)send(status_fd, &code, sizeof code, MSG_NOSIGNAL | MSG_DONTWAIT); /* it may not be wanted any more */
	fd_close(status_fd);
}

static void reap(struct starting *starting)
{
	int status;
	for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
		struct started *run = find(starting, ended);
		if (run == NULL)
			continue;
		report(run->status_fd, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		*run = (struct started){0};
	}
}

static void start(struct starting *starting, const struct starter_question *question, const int fds[PASSED_NUM])
{
	char *arguments[ARGUMENTS_MAX];
	struct started *place = find(starting, 0);
	CHECK(place != NULL); /* else nothing is received */
	put_arguments(question, arguments);
	pid_t child = fork();
	if (child == 0)
		become_program(starting->program, arguments, question->checks, fds);
	for (size_t i = 0; arguments[i] != NULL; i++)
		mem_free(arguments[i]);
	fd_close(fds[PASSED_NETNS]);
	fd_close(fds[PASSED_OUT]);
	if (child > 0)
		*place = (struct started){.pid = child, .status_fd = fds[PASSED_STATUS]};
	else
		report(fds[PASSED_STATUS], STARTER_NO_PROGRAM);
}

static bool is_text(const char text[NODE_POD_VALUE_MAX])
{
	return memchr(text, '\0', NODE_POD_VALUE_MAX) != NULL;
}

/* Takes the first three; room for one more is in the padding. */
static unsigned take_fds(struct msghdr *message, int fds[PASSED_NUM])
{
	unsigned num = 0;
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
		int passed;
		memcpy(&passed, CMSG_DATA(header) + at, sizeof passed);
		if (num < PASSED_NUM)
			fds[num++] = passed;
		else
			fd_close(passed);
	}
	return num;
}

/* False: the agent has ended. */
static bool serve(struct starting *starting)
{
	struct starter_question question = {0};
	union control control;
	int fds[PASSED_NUM] = {-1, -1, -1};
	struct iovec part = {.iov_base = &question, .iov_len = sizeof question};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	ssize_t len = recvmsg(REQUESTS_FD, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (len <= 0)
		return len < 0 && (errno == EAGAIN || errno == EINTR);
	unsigned num = take_fds(&message, fds);
	if (num == PASSED_NUM && len == sizeof question && is_text(question.rules.exclude_inbound_ports) &&
		is_text(question.rules.exclude_outbound_ports) && is_text(question.rules.exclude_outbound_networks)) {
		start(starting, &question, fds);
		return true;
	}
	for (unsigned i = 0; i < num; i++)
		fd_close(fds[i]);
	return false;
}

static void kill_all(const struct starting *starting)
{
	for (size_t i = 0; i < RUNS_MAX; i++)
		if (starting->runs[i].pid > 0)
			kill(starting->runs[i].pid, SIGKILL);
}

/* False: the agent has ended. */
static bool serve_round(struct starting *starting)
{
	struct pollfd fds[2 + RUNS_MAX] = {{.fd = starting->signals, .events = POLLIN},
		{.fd = find(starting, 0) != NULL ? REQUESTS_FD : -1, .events = POLLIN}};
	for (size_t i = 0; i < RUNS_MAX; i++)
		fds[2 + i].fd = starting->runs[i].pid > 0 ? starting->runs[i].status_fd : -1;
	if (poll(fds, 2 + RUNS_MAX, -1) < 0)
		return errno == EINTR;
	for (size_t i = 0; i < RUNS_MAX; i++)
		if (fds[2 + i].revents != 0) /* its caller has given up; the end is reaped as any other */
			kill(starting->runs[i].pid, SIGKILL);
	if (fds[0].revents != 0) {
		struct signalfd_siginfo one;
		(void)!read(starting->signals, &one, sizeof one);
		reap(starting);
	}
	return fds[1].revents == 0 || serve(starting);
}

/* What it inherits is the agent's. */
static void leave_agent(int fd)
{
	if (fd != REQUESTS_FD)
		(void)dup2(fd, REQUESTS_FD);
	(void)close_range(FIRST_UNUSED_FD, ~0U, 0);
	(void)fcntl(REQUESTS_FD, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGINT, SIG_IGN); /* the agent's end ends it */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_NAME, "handfast-starts");
}

static _Noreturn void become_starter(const char *program, int fd)
{
	struct starting starting = {.program = program};
	struct why why = {0};
	sigset_t ends;
	leave_agent(fd);
	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_SETMASK, &ends, NULL);
	starting.signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (starting.signals < 0)
		_exit(EXIT_FAILURE);
	if (sandbox_close(&why) != ERR_NONE || sandbox_enter(SANDBOX_STARTER, &why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "running without a system call filter", &why);
	while (serve_round(&starting))
		;
	kill_all(&starting);
	_exit(EXIT_SUCCESS);
}

/* --- the agent's side --- */

enum err starter_new(const char *program, struct starter **out, struct why *why)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return why_set(why, err_from_errno(errno), "a pair of sockets", "raise the descriptor limit",
			"the sockets of the starter cannot be made: %m");
	pid_t child = fork();
	if (child == 0)
		become_starter(program, pair[1]);
	fd_close(pair[1]);
	if (child < 0) {
		fd_close(pair[0]);
		return why_set(why, err_from_errno(errno), "a child process", "raise the process limit",
			"the starter cannot be started: %m");
	}
	struct starter *starter = mem_new(struct starter);
	*starter = (struct starter){.fd = pair[0], .pid = child};
	*out = starter;
	return ERR_NONE;
}

void starter_free(struct starter *starter)
{
	fd_close(starter->fd);
	while (waitpid(starter->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	mem_free(starter);
}

int starter_fd(const struct starter *starter)
{
	return starter->fd;
}

static bool ask(const struct starter *starter, const struct starter_question *question, const int fds[PASSED_NUM])
{
	union control control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)question, .iov_len = sizeof *question};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	*header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(PASSED_NUM * sizeof(int))};
	memcpy(CMSG_DATA(header), fds, PASSED_NUM * sizeof(int));
	return sendmsg(starter->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof *question;
}

enum err starter_run(struct starter *starter, const struct starter_question *question, int netns, int out_fd,
	int *out_status_fd, struct why *why)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return why_set(why, err_from_errno(errno), "a pair of sockets", "raise the descriptor limit",
			"cannot start handfast-init: %m");
	bool is_asked = ask(starter, question, (const int[PASSED_NUM]){netns, out_fd, pair[1]});
	int error = errno;
	fd_close(pair[1]);
	if (!is_asked) {
		fd_close(pair[0]);
		return why_set(why, err_from_errno(error), "a process of this agent that starts handfast-init",
			"see the log of handfast-cni on this node", "cannot start handfast-init: %s", strerror(error));
	}
	*out_status_fd = pair[0];
	return ERR_NONE;
}

bool starter_code(int status_fd, int *out)
{
	struct pollfd one = {.fd = status_fd, .events = POLLIN};
	return poll(&one, 1, CODE_MS) == 1 && recv(status_fd, out, sizeof *out, MSG_DONTWAIT) == sizeof *out;
}
