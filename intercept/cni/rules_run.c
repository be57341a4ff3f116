#include "intercept/cni/rules_run.h"
#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	RUN_MS = 20000,     /* it takes 50 ms; a machine at its limits, a few seconds */
	REPORT_MAX = 65536, /* 16 findings of 512 bytes */
	ARGUMENTS_MAX = 8,
	EXIT_NO_LOOPBACK = 125,
	EXIT_NO_NAMESPACE = 126,
	EXIT_UNKNOWN = 126, /* its exit code could not be read */
	EXIT_NO_PROGRAM = 127,
};

struct rules_run {
	pid_t child;
	int fd; /* of its standard output */
	struct loop_io io;
	struct loop_timer deadline;
	struct buf report;
	rules_run_done_fn *on_done;
	void *arg;
};

void rules_run_explain(struct span report, int exit_code, struct why *why)
{
	json_t *object = json_loadb((const char *)report.ptr, report.len, 0, NULL);
	const json_t *findings = json_object_get(object, "findings"), *one;
	const char *text = NULL;
	size_t i;
	json_array_foreach(findings, i, one)
	{
		const char *state = json_string_value(json_object_get(one, "state"));
		if (text == NULL && state != NULL && (strcmp(state, "failed") == 0 || strcmp(state, "unproven") == 0))
			text = json_string_value(json_object_get(one, "text"));
	}
	if (exit_code == EXIT_NO_NAMESPACE)
		text = "cannot enter the pod's network namespace; the agent needs CAP_SYS_ADMIN";
	else if (exit_code == EXIT_NO_LOOPBACK)
		text = "cannot set the interface lo up; the agent needs CAP_NET_ADMIN";
	else if (exit_code == EXIT_NO_PROGRAM)
		text = "cannot start handfast-init; see the setting init_program";
	_unused_
	enum err err = why_set(why, ERR_SYSTEM, "rules written by handfast-init",
		"look at the log of handfast-cni on this node", "exit code %d of handfast-init: %s", exit_code,
		text == NULL ? "it gave no reason" : text);
	json_decref(object);
}

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

/* Runs in the child: only async-signal-safe calls until exec. */
static _Noreturn void become_program(const struct rules_run_options *options, char *const *arguments, int out_fd)
{
	char *const no_environment[] = {NULL};
	if (setns(options->netns, CLONE_NEWNET) != 0)
		_exit(EXIT_NO_NAMESPACE);
	if (!options->checks && !set_loopback_up())
		_exit(EXIT_NO_LOOPBACK);
	if (dup2(out_fd, STDOUT_FILENO) != STDOUT_FILENO)
		_exit(EXIT_NO_PROGRAM);
	execve(options->program, arguments, no_environment);
	_exit(EXIT_NO_PROGRAM);
}

static void free_run(struct rules_run *run)
{
	loop_io_stop(&run->io);
	loop_timer_stop(&run->deadline);
	fd_close(run->fd);
	buf_done(&run->report);
	mem_free(run);
}

/* The program has closed its output, or was killed: it ends now. */
static int reap(const struct rules_run *run)
{
	int status = 0;
	pid_t ended;
	do
		ended = waitpid(run->child, &status, 0);
	while (ended < 0 && errno == EINTR);
	if (ended != run->child)
		return EXIT_UNKNOWN; /* without its exit code the rules are not known to be in place */
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void end(struct rules_run *run, enum err err, const struct why *given)
{
	rules_run_done_fn *on_done = run->on_done;
	void *arg = run->arg;
	struct why why = {0};
	int code = reap(run);
	if (err != ERR_NONE)
		why = *given;
	else if (code != 0) {
		err = ERR_SYSTEM;
		rules_run_explain(buf_span(&run->report), code, &why);
	}
	free_run(run);
	on_done(arg, err, &why);
}

static void on_deadline(struct loop_timer *timer)
{
	struct rules_run *run = container_of(timer, struct rules_run, deadline);
	struct why why;
	enum err err = why_set(&why, ERR_TIMEOUT, "rules within 20 s", "look at the load of the node",
		"the program handfast-init: no end within its limit");
	kill(run->child, SIGKILL);
	end(run, err, &why);
}

static void on_readable(struct loop_io *io, unsigned ready)
{
	struct rules_run *run = container_of(io, struct rules_run, io);
	uint8_t *room, excess[1024];
	size_t len = buf_room(&run->report) < sizeof excess ? buf_room(&run->report) : sizeof excess;
	(void)ready;
	bool fits = len > 0 && buf_reserve(&run->report, len, &room) == ERR_NONE;
	ssize_t got = read(run->fd, fits ? room : excess, fits ? len : sizeof excess);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0 && fits)
		buf_commit(&run->report, (size_t)got);
	if (got <= 0)
		end(run, ERR_NONE, NULL);
}

static char *argument(const char *flag, const char *value)
{
	return mem_printf("--%s=%s", flag, value);
}

/* Each value is one word of a program that is started without a shell. */
static void put_arguments(const struct rules_run_options *options, char *out[ARGUMENTS_MAX])
{
	size_t num = 0;
	const struct {
		const char *flag, *value;
	} lists[] = {
		{"exclude-inbound-ports", options->rules->exclude_inbound_ports},
		{"exclude-outbound-ports", options->rules->exclude_outbound_ports},
		{"exclude-outbound-networks", options->rules->exclude_outbound_networks},
		{"mode", options->rules->keeps_source ? "tproxy" : ""},
	};
	out[num++] = mem_strdup("handfast-init");
	out[num++] = mem_strdup(options->checks ? "check" : "up");
	out[num++] = argument("output", "json");
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (lists[i].value[0] != '\0')
			out[num++] = argument(lists[i].flag, lists[i].value);
	CHECK(num < ARGUMENTS_MAX);
	out[num] = NULL;
}

enum err rules_run_start(const struct rules_run_options *options, rules_run_done_fn *on_done, void *arg,
	struct rules_run **out, struct why *why)
{
	int ends[2];
	char *arguments[ARGUMENTS_MAX];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return why_set(why, err_from_errno(errno), "a pipe", "raise the limit of descriptors",
			"cannot start handfast-init: %m");
	put_arguments(options, arguments);
	pid_t child = fork();
	if (child == 0)
		become_program(options, arguments, ends[1]);
	enum err err = child > 0 ? ERR_NONE
				 : why_set(why, err_from_errno(errno), "a child process", "raise the process limit",
					   "cannot start handfast-init: %m");
	for (size_t i = 0; arguments[i] != NULL; i++)
		mem_free(arguments[i]);
	fd_close(ends[1]);
	if (err != ERR_NONE) {
		fd_close(ends[0]);
		return err;
	}
	struct rules_run *run = mem_new(struct rules_run);
	*run = (struct rules_run){
		.child = child, .fd = ends[0], .report = BUF_INIT(REPORT_MAX), .on_done = on_done, .arg = arg};
	CHECK(fcntl(run->fd, F_SETFL, O_NONBLOCK) == 0);
	loop_io_start(options->loop, &run->io, run->fd, LOOP_READ, on_readable);
	loop_timer_start(options->loop, &run->deadline, RUN_MS, on_deadline);
	*out = run;
	return ERR_NONE;
}

void rules_run_cancel(struct rules_run *run)
{
	kill(run->child, SIGKILL);
	(void)reap(run);
	free_run(run);
}
