#include "control/ca_source/command_runner.h"
#include "base/core/check.h"
#include "base/core/cleanup.h"
#include "base/core/clock.h"
#include "base/core/escape.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/net/fd.h"
#include "control/issue/confine.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUESTS_FD     3
#define EXIT_BAD_USAGE  64
#define EXIT_FAULT      70
#define EXIT_NO_PROGRAM 127
#define STDERR_MAX      160 /* bytes that a reason quotes */
#define CHILDREN_MAX    65536
#define REST_ROUNDS     100
#define REST_POLL_MS    10

struct runner {
	char *const *words;
	uint64_t timeout_ms;
};

struct run { /* of one request */
	pid_t child;
	int in, out, err; /* our ends; -1: closed */
	struct span request;
	struct buf output, errors;
	bool is_too_long, is_left; /* more output than allowed; the network process has ended */
};

static uint64_t now_ms(void)
{
	return clock_system.mono_ms(&clock_system);
}

static void close_end(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}

static void run_done(struct run *run)
{
	close_end(&run->in);
	close_end(&run->out);
	close_end(&run->err);
	buf_done(&run->output);
	buf_done(&run->errors);
}

/* Runs in the child: only async-signal-safe calls until exec. A group of its own, so that what it starts ends with it.
 */
static _Noreturn void become(char *const *words, const int ends[3])
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LANG=C";
	char *const environment[] = {path, language, NULL};
	sigset_t none;
	setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		if (dup2(ends[i], i) < 0)
			_exit(EXIT_NO_PROGRAM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	execve(words[0], words, environment);
	_exit(EXIT_NO_PROGRAM);
}

static bool start(const struct runner *runner, struct run *run)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	bool good = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
	run->child = good ? fork() : -1;
	if (run->child == 0)
		become(runner->words, (const int[3]){in[0], out[1], err[1]});
	close_end(&in[0]);
	close_end(&out[1]);
	close_end(&err[1]);
	run->in = in[1];
	run->out = out[0];
	run->err = err[0];
	if (run->child < 0)
		return false;
	for (size_t i = 0; i < 3; i++)
		fcntl(i == 0 ? run->in : i == 1 ? run->out : run->err, F_SETFL, O_NONBLOCK);
	return true;
}

static void feed(struct run *run)
{
	ssize_t len = write(run->in, run->request.ptr, run->request.len);
	if (len > 0)
		run->request = span_from(run->request, (size_t)len);
	if (run->request.len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) /* it need not read all */
		close_end(&run->in);
}

/* What does not fit is read and dropped: the command must not block. */
static void drain(int *fd, struct buf *to, bool *is_too_long)
{
	uint8_t bytes[4096];
	ssize_t len = read(*fd, bytes, sizeof bytes);
	if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
		close_end(fd);
	if (len > 0 && buf_append(to, span_of(bytes, (size_t)len)) != ERR_NONE)
		*is_too_long = true;
}

static void serve_pipes(struct run *run, int wait_ms)
{
	bool is_cut = false;
	struct pollfd fds[] = {{.fd = run->in, .events = POLLOUT}, {.fd = run->out, .events = POLLIN},
		{.fd = run->err, .events = POLLIN}, {.fd = REQUESTS_FD, .events = 0}};
	if (poll(fds, 4, wait_ms) <= 0)
		return;
	if (fds[0].revents != 0)
		feed(run);
	if (fds[1].revents != 0)
		drain(&run->out, &run->output, &run->is_too_long);
	if (fds[2].revents != 0)
		drain(&run->err, &run->errors, &is_cut);
	run->is_left = (fds[3].revents & (POLLHUP | POLLERR)) != 0;
}

/* Until both outputs are closed, the time is over, or the network process is gone. False: it did not end by itself. */
static bool wait_for_output(const struct runner *runner, struct run *run)
{
	uint64_t end_ms = now_ms() + runner->timeout_ms;
	while ((run->out >= 0 || run->err >= 0) && !run->is_left && !run->is_too_long) {
		uint64_t now = now_ms();
		if (now >= end_ms)
			return false;
		serve_pipes(run, (int)(end_ms - now));
	}
	return !run->is_left && !run->is_too_long;
}

/* What a command has started may have left its group and its session. Once its parent has ended it is a child of this
 * process (PR_SET_CHILD_SUBREAPER), which has no other ones. */
static void kill_children(void)
{
	_cleanup_(mem_freep) char *path = mem_printf("/proc/self/task/%d/children", getpid());
	_cleanup_(buf_done) struct buf text = BUF_INIT(CHILDREN_MAX);
	if (fd_read_head(path, CHILDREN_MAX, &text, NULL) != ERR_NONE)
		return;
	struct span rest = buf_span(&text);
	for (const uint8_t *end; rest.len > 0 && (end = memchr(rest.ptr, ' ', rest.len)) != NULL;) {
		uint64_t pid;
		size_t len = (size_t)(end - rest.ptr);
		if (number_parse(span_of(rest.ptr, len), INT32_MAX, &pid) == ERR_NONE)
			kill((pid_t)pid, SIGKILL);
		rest = span_from(rest, len + 1);
	}
}

/* Each round also reaches the children of those that it ends. */
static void end_the_rest(void)
{
	for (unsigned i = 0; i < REST_ROUNDS; i++) {
		pid_t ended = waitpid(-1, NULL, WNOHANG);
		while (ended > 0)
			ended = waitpid(-1, NULL, WNOHANG);
		if (ended < 0)
			return; /* there is none */
		kill_children();
		poll(NULL, 0, REST_POLL_MS);
	}
	log_error("ca-command",
		"the command of identity.ca.command has left processes that cannot be ended; see `ps -A`");
}

/* The command may have closed its outputs and run on. */
static bool reap(struct run *run, uint64_t wait_ms, int *out_status)
{
	uint64_t end_ms = now_ms() + wait_ms;
	for (;;) {
		pid_t ended = waitpid(run->child, out_status, wait_ms == 0 ? 0 : WNOHANG);
		if (ended == run->child)
			return true;
		if ((ended < 0 && errno != EINTR) || (wait_ms > 0 && now_ms() >= end_ms))
			return false;
		if (wait_ms > 0)
			poll(NULL, 0, 10);
	}
}

static void explain_status(const struct run *run, int status, char text[RUNNER_TEXT_MAX])
{
	char quoted[STDERR_MAX];
	struct span errors = buf_span(&run->errors);
	const uint8_t *end = errors.len == 0 ? NULL : memchr(errors.ptr, '\n', errors.len);
	if (end != NULL)
		errors.len = (size_t)(end - errors.ptr);
	escape_ascii(errors, quoted, sizeof quoted);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM)
		snprintf(text, RUNNER_TEXT_MAX, "the command cannot be run (exit code 127) %s", quoted);
	else
		snprintf(text, RUNNER_TEXT_MAX, "the command ended with %s %d: %s",
			WIFEXITED(status) ? "exit code" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), quoted);
}

/* False: text has the reason. */
static bool run_command(const struct runner *runner, struct run *run, char text[RUNNER_TEXT_MAX])
{
	int status = 0;
	if (!start(runner, run)) {
		snprintf(text, RUNNER_TEXT_MAX, "the command cannot be started: %m");
		return false;
	}
	bool has_ended = wait_for_output(runner, run) && reap(run, runner->timeout_ms, &status);
	kill(-run->child, SIGKILL); /* also what it has started and left behind */
	if (!has_ended) {
		kill(run->child, SIGKILL);
		(void)reap(run, 0, &status);
	}
	end_the_rest();
	if (!has_ended) {
		snprintf(text, RUNNER_TEXT_MAX,
			run->is_too_long ? "the command printed more than 24576 bytes"
					 : "the command did not end within identity.ca.command_timeout");
		return false;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		explain_status(run, status, text);
	else if (buf_len(&run->output) == 0)
		snprintf(text, RUNNER_TEXT_MAX, "the command printed nothing");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 && buf_len(&run->output) > 0;
}

static enum err answer_one(const struct runner *runner, struct span request)
{
	_cleanup_(run_done) struct run run = {.in = -1,
		.out = -1,
		.err = -1,
		.request = request,
		.output = BUF_INIT(RUNNER_OUTPUT_MAX),
		.errors = BUF_INIT(4096)};
	_cleanup_(buf_done) struct buf answer = BUF_INIT(1 + RUNNER_OUTPUT_MAX);
	char text[RUNNER_TEXT_MAX] = "";
	bool is_signed = run_command(runner, &run, text);
	const uint8_t kind = is_signed ? RUNNER_SIGNED : RUNNER_FAILED;
	RETURN_IF_ERR(buf_append(&answer, span_of(&kind, 1)));
	RETURN_IF_ERR(buf_append(&answer, is_signed ? buf_span(&run.output) : span_of_str(text)));
	return send(REQUESTS_FD, buf_span(&answer).ptr, buf_len(&answer), MSG_NOSIGNAL) < 0 ? ERR_IO : ERR_NONE;
}

static int serve_until_closed(const struct runner *runner)
{
	static uint8_t bytes[RUNNER_REQUEST_MAX];
	for (;;) {
		ssize_t len = recv(REQUESTS_FD, bytes, sizeof bytes, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len == 0)
			return EXIT_SUCCESS;
		if (len < 0 || answer_one(runner, span_of(bytes, (size_t)len)) != ERR_NONE)
			return EXIT_FAULT;
	}
}

int command_runner_main(int argc, char **argv)
{
	struct runner runner = {0};
	struct why why = {0};
	log_open("handfast-control: command");
	/* Ctrl-C at the terminal ends the network process, and its end ends this one. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 5 || number_parse(span_of_str(argv[3]), UINT64_MAX, &runner.timeout_ms) != ERR_NONE) {
		(void)why_set(&why, ERR_CONFIG, "handfast-control, which starts this process by itself",
			"run the control plane, with identity.ca.source: command",
			"the %d arguments of ca-command are not its own", argc - 2);
		log_why(LOG_LEVEL_ERROR, "ca-command", "cannot start", &why);
		return EXIT_BAD_USAGE;
	}
	fcntl(REQUESTS_FD, F_SETFD, FD_CLOEXEC);
	runner.words = argv + 4;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return EXIT_FAULT;
	if (confine_command(argv[2], &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "ca-command", "cannot start", &why);
		return EXIT_FAULT;
	}
	return serve_until_closed(&runner);
}
