#include "intercept/cni/rules_run.h"
#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
	RUN_MS = 20000,     /* it takes 50 ms; a machine at its limits, a few seconds */
	REPORT_MAX = 65536, /* 16 findings of 512 bytes */
};

struct rules_run {
	int status_fd; /* its exit code; closed before, the program is ended */
	int fd;        /* of its standard output */
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
	if (exit_code == STARTER_NO_NAMESPACE)
		text = "cannot enter the pod's network namespace; the agent needs CAP_SYS_ADMIN";
	else if (exit_code == STARTER_NO_LOOPBACK)
		text = "cannot set the interface lo up; the agent needs CAP_NET_ADMIN";
	else if (exit_code == STARTER_NO_PROGRAM)
		text = "cannot start handfast-init; see the setting init_program";
	_unused_
	enum err err = why_set(why, ERR_SYSTEM, "rules written by handfast-init",
		"look at the log of handfast-cni on this node", "exit code %d of handfast-init: %s", exit_code,
		text == NULL ? "it gave no reason" : text);
	json_decref(object);
}

static void free_run(struct rules_run *run)
{
	loop_io_stop(&run->io);
	loop_timer_stop(&run->deadline);
	fd_close(run->fd);
	fd_close(run->status_fd);
	buf_done(&run->report);
	mem_free(run);
}

static void end(struct rules_run *run, enum err err, const struct why *given)
{
	rules_run_done_fn *on_done = run->on_done;
	void *arg = run->arg;
	struct why why = {0};
	int code = 0;
	if (err != ERR_NONE)
		why = *given;
	else if (!starter_code(run->status_fd, &code))
		err = why_set(&why, ERR_SYSTEM, "rules written by handfast-init",
			"look at the log of handfast-cni on this node",
			"the exit code of a program is not known: handfast-init");
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
	enum err err = why_set(&why, ERR_TIMEOUT, "rules within 20 s", "check the load of the node",
		"the program handfast-init: no end within its limit");
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

enum err rules_run_start(const struct rules_run_options *options, rules_run_done_fn *on_done, void *arg,
	struct rules_run **out, struct why *why)
{
	int ends[2], status_fd = -1;
	const struct starter_question question = {.checks = options->checks, .rules = *options->rules};
	if (pipe2(ends, O_CLOEXEC) != 0)
		return why_set(why, err_from_errno(errno), "a pipe", "raise the limit of descriptors",
			"cannot start handfast-init: %m");
	enum err err = starter_run(options->starter, &question, options->netns, ends[1], &status_fd, why);
	fd_close(ends[1]);
	if (err != ERR_NONE) {
		fd_close(ends[0]);
		return err;
	}
	struct rules_run *run = mem_new(struct rules_run);
	*run = (struct rules_run){
		.status_fd = status_fd, .fd = ends[0], .report = BUF_INIT(REPORT_MAX), .on_done = on_done, .arg = arg};
	CHECK(fcntl(run->fd, F_SETFL, O_NONBLOCK) == 0);
	loop_io_start(options->loop, &run->io, run->fd, LOOP_READ, on_readable);
	loop_timer_start(options->loop, &run->deadline, RUN_MS, on_deadline);
	*out = run;
	return ERR_NONE;
}

void rules_run_cancel(struct rules_run *run)
{
	free_run(run);
}
