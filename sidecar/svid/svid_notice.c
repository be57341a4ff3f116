#include "sidecar/svid/svid_notice.h"

#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/net/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMPONENT "svid"

enum {
	RUN_S = 60,
	PID_MAX = 4194304,
	PID_TEXT_MAX = 64,
	EXIT_NO_PROGRAM = 127,
	RUNNER_FD = 3,
	FIRST_UNUSED_FD = 4,
};

/* What the runner answers. */
struct outcome {
	enum { RUN_ENDED, RUN_TIMED_OUT, RUN_NOT_STARTED } kind;
	int status; /* as of wait(2), or errno */
};

struct svid_notice {
	struct loop *loop;
	struct svid_notice_spec spec;
	int fd; /* to the runner; -1: none */
	struct loop_io io;
	bool is_running, is_due; /* is_due: the files changed while it ran */
};

int svid_signal_parse(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {{"HUP", SIGHUP}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"TERM", SIGTERM}, {"USR1", SIGUSR1},
		{"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (strcmp(name, signals[i].name) == 0)
			return signals[i].number;
	return 0;
}

enum err svid_pid_parse(struct span text, int *out)
{
	uint64_t pid = number_take(&text, PID_MAX + 1);
	size_t at = 0;
	while (at < text.len && (text.ptr[at] == '\n' || text.ptr[at] == ' '))
		at++;
	/* 0 and -1 are groups of processes, 1 is init. */
	if (at != text.len || pid <= 1 || pid > PID_MAX)
		return ERR_MALFORMED;
	*out = (int)pid;
	return ERR_NONE;
}

static enum err send_signal(const struct svid_notice_spec *spec, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(PID_TEXT_MAX);
	int pid;
	RETURN_IF_ERR(fd_read_file(spec->pid_file, PID_TEXT_MAX, &text, why));
	if (svid_pid_parse(buf_span(&text), &pid) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, "the number of a process, in decimal",
			"correct the path of the pid file", "%s has no such number", spec->pid_file);
	if (kill(pid, spec->signal) != 0)
		return why_set(why, err_from_errno(errno), "a process that this user may send a signal",
			"run this command as that process's user", "cannot send signal %d to process %d: %m",
			spec->signal, pid);
	return ERR_NONE;
}

/* --- the runner: a process that is forked before anything is read from outside, since the process that reads may start
 * no program (decision 101). It runs the operator's program with the operator's powers, reads one byte per run, and
 * ends with the other one. --- */

static void set_end_signals(void (*disposition)(int))
{
	(void)signal(SIGINT, disposition);
	(void)signal(SIGTERM, disposition);
	(void)signal(SIGHUP, disposition);
}

static _Noreturn void become(const char *program)
{
	char *const words[] = {(char *)(uintptr_t)program, NULL};
	sigset_t none;
	set_end_signals(SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(program, words);
	_exit(EXIT_NO_PROGRAM);
}

/* SIGCHLD is blocked. */
static bool wait_for(pid_t child, const sigset_t *ends, int *out_status)
{
	struct timespec limit = {.tv_sec = RUN_S};
	while (waitpid(child, out_status, WNOHANG) != child)
		if (sigtimedwait(ends, NULL, &limit) < 0 && errno == EAGAIN)
			return false;
	return true;
}

static struct outcome run_once(const char *program, const sigset_t *ends)
{
	struct outcome outcome = {.kind = RUN_ENDED};
	pid_t child = fork();
	if (child == 0)
		become(program);
	if (child < 0)
		return (struct outcome){.kind = RUN_NOT_STARTED, .status = errno};
	if (!wait_for(child, ends, &outcome.status)) {
		outcome.kind = RUN_TIMED_OUT;
		kill(child, SIGKILL);
		(void)waitpid(child, &outcome.status, 0);
	}
	return outcome;
}

static _Noreturn void become_runner(const char *program, int fd)
{
	char byte;
	sigset_t ends;
	if (fd != RUNNER_FD)
		(void)dup2(fd, RUNNER_FD);
	(void)close_range(FIRST_UNUSED_FD, ~0U, 0);
	(void)fcntl(RUNNER_FD, F_SETFD, FD_CLOEXEC);
	set_end_signals(SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_SETMASK, &ends, NULL);
	for (;;) {
		ssize_t len = recv(RUNNER_FD, &byte, 1, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len != 1)
			_exit(EXIT_SUCCESS);
		const struct outcome outcome = run_once(program, &ends);
		(void)send(RUNNER_FD, &outcome, sizeof outcome, MSG_NOSIGNAL);
	}
}

static enum err start_runner(const char *program, int *out_fd)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_from_errno(errno);
	pid_t child = fork();
	if (child == 0)
		become_runner(program, pair[1]);
	fd_close(pair[1]);
	if (child < 0) {
		fd_close(pair[0]);
		return err_from_errno(errno);
	}
	*out_fd = pair[0];
	return ERR_NONE;
}

/* --- the program --- */

static void lose_runner(struct svid_notice *notice)
{
	log_error(COMPONENT, "the process that starts %s has ended; the command no longer runs", notice->spec.program);
	loop_io_stop(&notice->io);
	fd_close(TAKE_FD(notice->fd));
	notice->is_running = false;
}

static void run(struct svid_notice *notice)
{
	notice->is_due = notice->is_running;
	if (notice->is_due)
		return;
	if (notice->fd < 0)
		log_error(COMPONENT, "cannot start %s", notice->spec.program);
	else if (send(notice->fd, "", 1, MSG_NOSIGNAL) != 1)
		lose_runner(notice);
	else
		notice->is_running = true;
}

static void report(const struct svid_notice *notice, const struct outcome *outcome)
{
	const char *program = notice->spec.program;
	if (outcome->kind == RUN_NOT_STARTED)
		log_error(COMPONENT, "cannot start %s: %s", program, strerror(outcome->status));
	else if (outcome->kind == RUN_TIMED_OUT)
		log_error(COMPONENT, "%s has run for a minute and is ended", program);
	else if (!WIFEXITED(outcome->status) || WEXITSTATUS(outcome->status) != 0)
		log_warning(COMPONENT, "%s ended with %s %d", program,
			WIFEXITED(outcome->status) ? "exit code" : "signal",
			WIFEXITED(outcome->status) ? WEXITSTATUS(outcome->status) : WTERMSIG(outcome->status));
}

static void on_outcome(struct loop_io *io, unsigned ready)
{
	struct svid_notice *notice = container_of(io, struct svid_notice, io);
	struct outcome outcome;
	(void)ready;
	ssize_t len = recv(notice->fd, &outcome, sizeof outcome, MSG_DONTWAIT);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len != sizeof outcome) {
		lose_runner(notice);
		return;
	}
	notice->is_running = false;
	report(notice, &outcome);
	if (notice->is_due)
		run(notice);
}

/* --- public functions --- */

struct svid_notice *svid_notice_new(struct loop *loop, const struct svid_notice_spec *spec)
{
	struct svid_notice *notice = mem_new(struct svid_notice);
	notice->loop = loop;
	notice->spec = *spec;
	notice->fd = -1;
	if (spec->program == NULL)
		return notice;
	enum err err = start_runner(spec->program, &notice->fd);
	if (err != ERR_NONE)
		log_error(COMPONENT, "cannot make the process that starts %s: %s", spec->program, err_text(err));
	else
		loop_io_start(loop, &notice->io, notice->fd, LOOP_READ, on_outcome);
	return notice;
}

void svid_notice_free(struct svid_notice *notice)
{
	loop_io_stop(&notice->io);
	fd_close(notice->fd);
	mem_free(notice);
}

void svid_notice_give(struct svid_notice *notice)
{
	struct why why = {0};
	if (notice->spec.program != NULL)
		run(notice);
	if (notice->spec.signal != 0 && send_signal(&notice->spec, &why) != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, COMPONENT, "the files are written, but no signal was sent", &why);
}

bool svid_notice_is_running(const struct svid_notice *notice)
{
	return notice->is_running;
}
