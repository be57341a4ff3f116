#include "cli/watch.h"
#include "base/core/date.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/settings/settings.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_MS = 2000, INTERVAL_MIN_MS = 100, CHUNK = 65536 };
#define OUTPUT_MAX   (64u * 1024 * 1024) /* of one run; a mesh of 15,000 sidecars has a status of 10 MiB */
#define CLEAR_SCREEN "\033[H\033[2J"

struct watch {
	struct command_line *line;
	enum cli_exit (*function)(struct command_line *);
	int interval_ms;
	int signal_fd;
	struct buf shown, output; /* of the last run that was shown; of this one */
};

/* --- one run --- */

/* Failures of a text run belong to what is watched; those of a JSON run are on its standard output. */
static _Noreturn void run_child(const struct watch *watch, int fd, const sigset_t *signals)
{
	(void)sigprocmask(SIG_UNBLOCK, signals, NULL);
	if (dup2(fd, STDOUT_FILENO) < 0 || (!watch->line->json && dup2(fd, STDERR_FILENO) < 0))
		_exit(CLI_FAULT);
	enum cli_exit result = watch->function(watch->line);
	if (fflush(stdout) != 0)
		result = CLI_FAULT;
	_exit((int)result);
}

static bool is_interrupted(const struct watch *watch, int fd, int timeout_ms)
{
	struct pollfd polled[] = {{watch->signal_fd, POLLIN, 0}, {fd, POLLIN, 0}};
	while (poll(polled, 2, timeout_ms) < 0 && errno == EINTR)
		continue;
	return polled[0].revents != 0;
}

/* All that the child prints. False: interrupted. */
static bool collect(struct watch *watch, int fd)
{
	static uint8_t chunk[CHUNK];
	buf_clear(&watch->output);
	while (!is_interrupted(watch, fd, -1)) {
		ssize_t len = read(fd, chunk, sizeof chunk);
		if (len <= 0)
			return true;
		if (buf_append(&watch->output, span_of(chunk, (size_t)len)) != ERR_NONE)
			return true; /* the child ends by SIGPIPE */
	}
	return false;
}

static enum err system_error(const char *what, struct why *why)
{
	return why_set(why, ERR_SYSTEM, "a process for each run", "raise the limits of processes and descriptors",
		"%s: %s", what, strerror(errno));
}

/* ERR_SYSTEM: it could not be started. Killed, it counts as CLI_FAULT. */
static enum err run_once(
	struct watch *watch, const sigset_t *signals, bool *out_interrupted, enum cli_exit *out_result, struct why *why)
{
	int ends[2], status = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return system_error("cannot make a pipe", why);
	pid_t child = fork();
	if (child == 0)
		run_child(watch, ends[1], signals);
	fd_close(ends[1]);
	*out_interrupted = child > 0 && !collect(watch, ends[0]);
	fd_close(ends[0]);
	if (child < 0)
		return system_error("cannot start a process", why);
	if (*out_interrupted)
		(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	*out_result = WIFEXITED(status) ? (enum cli_exit)WEXITSTATUS(status) : CLI_FAULT;
	return ERR_NONE;
}

/* --- what is shown --- */

static void show_line(const struct watch *watch)
{
	json_t *object =
		json_loadb((const char *)buf_span(&watch->output).ptr, buf_len(&watch->output), JSON_DECODE_ANY, NULL);
	if (object != NULL && json_dumpf(object, stdout, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
		putchar('\n');
	json_decref(object);
}

static void show_text_block(const struct watch *watch)
{
	char date[DATE_TEXT_MAX];
	if (isatty(STDOUT_FILENO))
		fputs(CLEAR_SCREEN, stdout);
	else
		printf("--- %s\n", date_format(time(NULL), date));
	(void)fwrite(buf_span(&watch->output).ptr, 1, buf_len(&watch->output), stdout);
}

/* False: the reader has gone, or has no room. */
static bool show(struct watch *watch)
{
	if (span_eq(buf_span(&watch->output), buf_span(&watch->shown)))
		return true;
	if (watch->line->json)
		show_line(watch);
	else
		show_text_block(watch);
	struct buf before = watch->shown;
	watch->shown = watch->output;
	watch->output = before;
	return fflush(stdout) == 0;
}

static enum cli_exit repeat(struct watch *watch, const sigset_t *signals)
{
	bool is_over = false;
	struct why why = {0};
	for (;;) {
		enum cli_exit result = CLI_DONE;
		enum err err = run_once(watch, signals, &is_over, &result, &why);
		if (err != ERR_NONE)
			return command_line_fail(watch->line, err, &why);
		if (is_over)
			return CLI_DONE;
		if (!show(watch))
			return CLI_UNAVAILABLE; /* the reason is reported at the end of the process */
		if (result == CLI_USAGE)
			return result;
		if (is_interrupted(watch, -1, watch->interval_ms))
			return CLI_DONE;
	}
}

/* --- from the command line --- */

static bool interval_read(struct command_line *line, int *out_ms)
{
	const char *text = command_line_value(line, "interval");
	uint64_t ms = INTERVAL_MS;
	if (text != NULL &&
		(duration_parse(span_of_str(text), &ms) != ERR_NONE || ms < INTERVAL_MIN_MS || ms > INT32_MAX))
		command_line_error(line, "--interval", "a duration of at least 100ms, such as 2s", text);
	*out_ms = (int)ms;
	return buf_len(&line->errors) == 0;
}

enum cli_exit watch_run(struct command_line *line, enum cli_exit (*function)(struct command_line *))
{
	struct watch watch = {.line = line,
		.function = function,
		.signal_fd = -1,
		.shown = BUF_INIT(OUTPUT_MAX),
		.output = BUF_INIT(OUTPUT_MAX)};
	sigset_t signals;
	if (!interval_read(line, &watch.interval_ms))
		return command_line_refuse(line);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	watch.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	enum cli_exit result = watch.signal_fd < 0 ? CLI_FAULT : repeat(&watch, &signals);
	fd_close(watch.signal_fd);
	buf_done(&watch.shown);
	buf_done(&watch.output);
	return result;
}
