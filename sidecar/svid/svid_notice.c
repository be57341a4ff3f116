#include "sidecar/svid/svid_notice.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMPONENT "svid"

enum { RUN_MS = 60000, PID_MAX = 4194304, PID_TEXT_MAX = 64, EXIT_NO_PROGRAM = 127 };

struct svid_notice {
	struct loop *loop;
	struct svid_notice_spec spec;
	pid_t child; /* 0: none runs */
	bool is_due; /* the files changed while it ran */
	struct loop_signal on_child;
	struct loop_timer deadline;
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
	int pid = 0;
	size_t at = 0;
	for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9' && pid <= PID_MAX; at++)
		pid = 10 * pid + (text.ptr[at] - '0');
	size_t num_digits = at;
	while (at < text.len && (text.ptr[at] == '\n' || text.ptr[at] == ' '))
		at++;
	/* 0 and -1 are groups of processes, 1 is init. */
	if (num_digits == 0 || at != text.len || pid <= 1 || pid > PID_MAX)
		return ERR_MALFORMED;
	*out = pid;
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

/* --- the program --- */

static void on_deadline(struct loop_timer *timer)
{
	struct svid_notice *notice = container_of(timer, struct svid_notice, deadline);
	CHECK(notice->child > 0);
	log_error(COMPONENT, "%s has run for a minute and is ended", notice->spec.program);
	kill(notice->child, SIGKILL);
}

static _Noreturn void become(const char *program)
{
	char *const words[] = {(char *)(uintptr_t)program, NULL};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(program, words);
	_exit(EXIT_NO_PROGRAM);
}

static void run(struct svid_notice *notice)
{
	notice->is_due = notice->child > 0;
	if (notice->is_due)
		return;
	pid_t child = fork();
	if (child == 0)
		become(notice->spec.program);
	if (child < 0) {
		log_error(COMPONENT, "cannot start %s: %m", notice->spec.program);
		return;
	}
	notice->child = child;
	loop_timer_start(notice->loop, &notice->deadline, RUN_MS, on_deadline);
}

static void on_child(struct loop_signal *signal)
{
	struct svid_notice *notice = container_of(signal, struct svid_notice, on_child);
	int status = 0;
	if (notice->child == 0 || waitpid(notice->child, &status, WNOHANG) != notice->child)
		return;
	notice->child = 0;
	loop_timer_stop(&notice->deadline);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		log_warning(COMPONENT, "%s ended with %s %d", notice->spec.program,
			WIFEXITED(status) ? "exit code" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	if (notice->is_due)
		run(notice);
}

/* --- public functions --- */

struct svid_notice *svid_notice_new(struct loop *loop, const struct svid_notice_spec *spec)
{
	struct svid_notice *notice = mem_new(struct svid_notice);
	notice->loop = loop;
	notice->spec = *spec;
	if (spec->program != NULL)
		loop_signal_start(loop, &notice->on_child, SIGCHLD, on_child);
	return notice;
}

void svid_notice_free(struct svid_notice *notice)
{
	if (notice->spec.program != NULL)
		loop_signal_stop(&notice->on_child);
	loop_timer_stop(&notice->deadline);
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
	return notice->child > 0;
}
