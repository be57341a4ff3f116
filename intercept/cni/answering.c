#include "intercept/cni/answering.h"
#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "intercept/cni/message.h"
#include "intercept/cni/rules_run.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define COMPONENT "cni"

enum {
	WAIT_MS = 8000, /* a pod's object comes within a second of kubelet's own */
	QUESTION_MS = 2000,
	CONNS_MAX = 512, /* more than the pods that a node starts at once; only root can open them */
	/* A node that restarts starts all its pods at once: 250 programs would take its memory and processors, and the
	 * limit of this agent's memory. A run takes 50 ms. */
	RUNS_MAX = 8,
};

struct answering {
	struct answering_options options;
	struct listener *listener;
	struct list conns;
	unsigned num_conns, num_runs;
	struct loop_task room; /* a run has ended */
};

enum phase { READING, WAITING, QUEUED, RUNNING }; /* QUEUED: its pod is known, and RUNS_MAX others run */

struct conn {
	struct list_link link;
	struct answering *answering;
	int fd, netns; /* -1: none */
	enum phase phase;
	struct loop_io io;
	struct loop_timer deadline;
	struct buf in;
	struct message_question question;
	struct rules_run *run; /* RUNNING */
};

static void judge(struct conn *conn);

static void on_room(struct loop_task *task)
{
	struct answering *answering = container_of(task, struct answering, room);
	LIST_EACH_REMOVABLE(&answering->conns, struct conn, conn, link)
		if (conn->phase == QUEUED && answering->num_runs < RUNS_MAX)
			judge(conn);
}

static void end_run(struct conn *conn)
{
	struct answering *answering = conn->answering;
	CHECK(answering->num_runs > 0);
	answering->num_runs--;
	conn->run = NULL;
	loop_task_post(answering->options.loop, &answering->room, on_room);
}

static void close_conn(struct conn *conn)
{
	struct answering *answering = conn->answering;
	loop_io_stop(&conn->io);
	loop_timer_stop(&conn->deadline);
	if (conn->run != NULL) {
		rules_run_cancel(conn->run);
		end_run(conn);
	}
	fd_close(conn->fd);
	fd_close(conn->netns);
	buf_done(&conn->in);
	list_remove(&conn->link);
	CHECK(answering->num_conns > 0);
	answering->num_conns--;
	mem_free(conn);
}

static void answer(struct conn *conn, enum message_verdict verdict, const struct why *why)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(MESSAGE_MAX);
	struct message_answer answer = {.verdict = verdict};
	const struct cni_pod *pod = &conn->question.pod;
	if (why != NULL)
		answer.detail = *why;
	if (why != NULL)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "a pod cannot be started", why);
	log_write(verdict == MESSAGE_DONE ? LOG_LEVEL_NOTICE : LOG_LEVEL_DEBUG, COMPONENT, "pod %s/%s: %s",
		pod->namespace_, pod->name, verdict == MESSAGE_DONE ? "rules are in place" : "no rules written");
	if (message_answer_put(&answer, &line) != ERR_NONE || message_send(conn->fd, buf_span(&line), -1) != ERR_NONE)
		log_warning(
			COMPONENT, "the plugin has not waited for its answer about %s/%s", pod->namespace_, pod->name);
	close_conn(conn);
}

static void on_rules(void *arg, enum err err, const struct why *why)
{
	struct conn *conn = arg;
	end_run(conn);
	answer(conn, err == ERR_NONE ? MESSAGE_DONE : MESSAGE_FAILED, err == ERR_NONE ? NULL : why);
}

/* Rules in the node's own namespace would cut the node off. */
static enum err is_own_namespace(int netns, bool *out, struct why *why)
{
	struct stat own, given;
	if (stat("/proc/self/ns/net", &own) != 0 || fstat(netns, &given) != 0)
		return why_set(why, err_from_errno(errno), "two network namespaces to compare", "mount /proc",
			"cannot stat a network namespace: %m");
	*out = own.st_ino == given.st_ino && own.st_dev == given.st_dev;
	return ERR_NONE;
}

static void run_rules(struct conn *conn, const struct node_pod_rules *rules)
{
	struct why why = {0};
	struct rules_run_options options = {.loop = conn->answering->options.loop,
		.starter = conn->answering->options.starter,
		.rules = rules,
		.checks = conn->question.checks,
		.netns = conn->netns};
	bool is_own = false;
	if (is_own_namespace(conn->netns, &is_own, &why) != ERR_NONE || is_own) {
		answer(conn, is_own ? MESSAGE_PASSED : MESSAGE_FAILED, is_own ? NULL : &why);
		return;
	}
	if (conn->answering->num_runs == RUNS_MAX) {
		conn->phase = QUEUED;
		return;
	}
	if (rules_run_start(&options, on_rules, conn, &conn->run, &why) != ERR_NONE) {
		answer(conn, MESSAGE_FAILED, &why);
		return;
	}
	conn->phase = RUNNING;
	conn->answering->num_runs++;
	loop_timer_stop(&conn->deadline);
}

static void judge(struct conn *conn)
{
	struct node_pod_rules rules;
	struct why why = {0};
	switch (node_pods_judge(conn->answering->options.pods, &conn->question.pod, &rules, &why)) {
	case NODE_POD_UNKNOWN:
		conn->phase = WAITING;
		return;
	case NODE_POD_PASSES:
		answer(conn, MESSAGE_PASSED, NULL);
		return;
	case NODE_POD_NEEDS_RULES:
		run_rules(conn, &rules);
		return;
	case NODE_POD_REFUSED:
		answer(conn, MESSAGE_FAILED, &why);
		return;
	}
	CHECK_UNREACHABLE();
}

static void on_deadline(struct loop_timer *timer)
{
	struct conn *conn = container_of(timer, struct conn, deadline);
	struct why why;
	if (conn->phase == READING) {
		close_conn(conn);
		return;
	}
	const struct cni_pod *pod = &conn->question.pod;
	if (conn->phase == QUEUED)
		why_set(&why, ERR_LIMIT, "a turn within 8 s; 8 programs write rules at once",
			"none: kubelet tries again; if it does not end, check the load of the node",
			"pod %s/%s waits for the rules of other pods", pod->namespace_, pod->name);
	else
		why_set(&why, ERR_UNAVAILABLE, "a pod that the API server has on this node",
			"kubelet tries again; if it does not end, look at /healthz/ready of handfast-cni on this node",
			"pod %s/%s (uid %s) is not known yet", pod->namespace_, pod->name, pod->uid);
	answer(conn, MESSAGE_LATER, &why);
}

static void take_question(struct conn *conn)
{
	struct span line = buf_span(&conn->in);
	const struct answering_options *options = &conn->answering->options;
	if (memchr(line.ptr, '\n', line.len) == NULL)
		return;
	if (conn->netns < 0 || message_question_parse(line, &conn->question) != ERR_NONE) {
		log_warning(COMPONENT, "a malformed question was dropped; expected: a plugin of this version");
		close_conn(conn);
		return;
	}
	conn->phase = WAITING;
	loop_timer_start(
		options->loop, &conn->deadline, options->wait_ms == 0 ? WAIT_MS : options->wait_ms, on_deadline);
	judge(conn);
}

/* After the question only the end of the plugin is of interest: the runtime has given up. */
static void on_readable(struct loop_io *io, unsigned ready)
{
	struct conn *conn = container_of(io, struct conn, io);
	(void)ready;
	enum err err = message_receive(conn->fd, &conn->in, &conn->netns);
	if (err == ERR_UNAVAILABLE)
		return;
	if (err != ERR_NONE)
		close_conn(conn);
	else if (conn->phase == READING)
		take_question(conn);
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct answering *answering = arg;
	uid_t user;
	(void)peer;
	if (answering->num_conns == CONNS_MAX || socket_peer_user(fd, &user) != ERR_NONE || user != 0) {
		log_warning(COMPONENT, "a connection was refused; expected: root, and at most 512 at once");
		fd_close(fd);
		return;
	}
	struct conn *conn = mem_new(struct conn);
	*conn = (struct conn){.answering = answering, .fd = fd, .netns = -1, .in = BUF_INIT(MESSAGE_MAX)};
	list_push_back(&answering->conns, &conn->link);
	answering->num_conns++;
	loop_io_start(answering->options.loop, &conn->io, fd, LOOP_READ, on_readable);
	loop_timer_start(answering->options.loop, &conn->deadline, QUESTION_MS, on_deadline);
}

struct answering *answering_new(const struct answering_options *options)
{
	struct answering *answering = mem_new(struct answering);
	answering->options = *options;
	answering->listener = listener_new(options->loop, options->listening_fd, on_accept, NULL, answering);
	return answering;
}

void answering_free(struct answering *answering)
{
	listener_free(answering->listener);
	LIST_EACH_REMOVABLE(&answering->conns, struct conn, conn, link)
		close_conn(conn);
	loop_task_cancel(&answering->room);
	mem_free(answering);
}

void answering_pods_changed(struct answering *answering)
{
	LIST_EACH_REMOVABLE(&answering->conns, struct conn, conn, link)
		if (conn->phase == WAITING || conn->phase == QUEUED)
			judge(conn);
}
