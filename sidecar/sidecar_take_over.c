/* The process that upgrades another one: it gets the listening sockets, prepares (an identity, the policy), and serves
 * when it could answer. Until then the other one serves, and goes on if this one ends (decision 097). */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/passed_fds.h"
#include "base/net/passed_sockets.h"
#include "sidecar/running.h"
#include "sidecar/sidecar_private.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMPONENT "upgrade"
enum {
	POLL_MS = 20,
	ANSWER_MS = 5000,
	TAKEN_MIN_MS = 1000, /* for the answer to SIDECAR_TAKE, also where the timeout has nearly passed */
};

static const char expected[] = "a running sidecar of this host that hands over its listening sockets";

static enum err ask(int fd, struct passed_sockets **out, struct why *why)
{
	static const char line[] = ADMIN_HAND_OVER "\n";
	if (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0)
		return why_set(
			why, err_from_errno(errno), expected, "try it again", "cannot write to the admin socket: %m");
	return passed_sockets_receive(fd, ANSWER_MS, out, why);
}

/* The file of the admin socket is there in each network namespace. What this process would open for its sockets, to
 * workloads and to the control plane, would be of another host than what they accept. */
static enum err same_network(const struct passed_sockets *sockets, struct why *why)
{
	if (passed_sockets_are_of_this_network(sockets))
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "the network namespace of the running sidecar",
		"run it in the network namespace of the running sidecar: `nsenter --net`, or `ip netns exec`",
		"the running sidecar listens in another network namespace");
}

enum err sidecar_take_over_begin(struct sidecar *sidecar, struct why *why)
{
	struct sidecar_take_over *take_over = &sidecar->take_over;
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(running_connect(sidecar->config->admin_socket, &fd, why));
	RETURN_IF_ERR(ask(fd, &take_over->sockets, why));
	RETURN_IF_ERR(same_network(take_over->sockets, why));
	if (sidecar->options.uses_its_output) {
		RETURN_IF_ERR(passed_sockets_use_outputs(take_over->sockets, why));
		log_reopen();
	}
	struct peer_process before = {.pid = 0};
	if (socket_peer_process(fd, &before) == ERR_NONE) /* as running_connect() has seen */
		take_over->pid = before.pid;
	take_over->fd = TAKE_FD(fd);
	take_over->is_open = true;
	log_notice(COMPONENT, "preparing to take over; %zu listening sockets have come",
		passed_sockets_num(take_over->sockets));
	return ERR_NONE;
}

/* What no worker has taken is of more workers than there are now, or of a port that the settings no longer have. */
void sidecar_take_over_rest(struct sidecar *sidecar)
{
	struct passed_sockets *sockets = TAKE_PTR(sidecar->take_over.sockets);
	struct addr at;
	unsigned next = 0;
	for (int fd = passed_sockets_take_any(sockets, &at); fd >= 0; fd = passed_sockets_take_any(sockets, &at))
		worker_adopt(sidecar->workers[next++ % sidecar->num_workers], fd, &at);
	passed_sockets_free(sockets);
}

/* Returns the descriptor, which is the caller's; -1: there is none. */
static int leave(struct sidecar_take_over *take_over)
{
	if (!take_over->is_open)
		return -1;
	loop_io_stop(&take_over->io);
	loop_timer_stop(&take_over->poll);
	take_over->is_open = false;
	return take_over->fd;
}

void sidecar_take_over_stop(struct sidecar *sidecar)
{
	fd_close(leave(&sidecar->take_over));
	passed_sockets_free(TAKE_PTR(sidecar->take_over.sockets));
}

static void serve(struct sidecar *sidecar)
{
	state_folder_wait(sidecar->state, false);
	sidecar_kept_flush(sidecar); /* the folder is this process's: what waited is written */
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_resume(sidecar->workers[i]);
	if (admin_start(sidecar->admin) != ERR_NONE)
		log_error(COMPONENT, "the pages, or the metrics, have no port: another program listens there");
	if (sidecar->admin_socket != NULL)
		admin_socket_resume(sidecar->admin_socket);
	if (sidecar->workload_api != NULL)
		workload_api_resume(sidecar->workload_api);
	log_notice(COMPONENT, "taken over after %.2f s: serving",
		(double)(loop_now_ms(sidecar->loop) - sidecar->made_ms) / 1000);
	sidecar_note_serving(sidecar);
}

static bool is_prepared(const struct sidecar *sidecar)
{
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	return status.is_valid && sidecar->policy != NULL;
}

static void give_up(struct sidecar *sidecar)
{
	struct why why = {0};
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	const struct why *last = &status.last_failure;
	bool has_reason = last->err != ERR_NONE; /* what it expects, and its fix, are those of the whole */
	(void)why_set(&why, ERR_TIMEOUT, has_reason ? last->expected : "an identity and a policy within the timeout",
		has_reason ? last->fix : "restart the sidecar instead", "%s after %.0f s: %s",
		status.is_valid ? "no policy" : "no identity", (double)sidecar->options.take_over_ms / 1000,
		has_reason ? last->got : "no reason is known");
	log_why(LOG_LEVEL_ERROR, COMPONENT,
		sidecar->take_over.is_alone ? "not taken over, and the sidecar before has ended"
					    : "not taken over; the former sidecar continues to serve",
		&why);
	sidecar->has_failed = true;
	loop_stop(sidecar->loop);
}

static void refused(struct sidecar *sidecar)
{
	struct why why = {0};
	(void)why_set(&why, ERR_REFUSED, "the sidecar before to hand over", "see its log; then try it again",
		"it has kept its sockets: it drains or ends, or waited too long");
	log_why(LOG_LEVEL_ERROR, COMPONENT, "not taken over", &why);
	sidecar->has_failed = true;
	loop_stop(sidecar->loop);
}

static bool goes_on(int fd)
{
	char line[sizeof(SIDECAR_KEPT)] = "";
	return recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT) > 0 && strcmp(line, SIDECAR_KEPT) == 0;
}

/* The channels to the process before, and to those before that one. The modes that the one before gets are its proof
 * that this process serves: it has not waited for them forever (decision 116). */
static void taken(struct sidecar *sidecar, const struct passed_fds *formers)
{
	int fd = leave(&sidecar->take_over);
	for (size_t i = 0; i < formers->num; i++)
		if (sidecar_formers_adopt(sidecar, formers->fds[i]) == ERR_CLOSED)
			fd_close(formers->fds[i]);
	bool is_closed = sidecar_formers_adopt(sidecar, fd) == ERR_CLOSED;
	if (is_closed && goes_on(fd))
		refused(sidecar);
	else
		serve(sidecar);
	if (is_closed)
		fd_close(fd);
}

static void serve_alone(struct sidecar *sidecar)
{
	fd_close(leave(&sidecar->take_over));
	serve(sidecar);
}

/* Its answer, or its end by a crash: then this process alone has the sockets, and serves as soon as it can answer. */
static void on_answer(struct loop_io *io, unsigned ready)
{
	struct sidecar *sidecar = container_of(io, struct sidecar, take_over.io);
	char line[sizeof(SIDECAR_TAKEN)] = "";
	struct passed_fds formers;
	size_t len;
	(void)ready;
	if (passed_fds_receive(sidecar->take_over.fd, line, sizeof(line) - 1, &len, &formers) == ERR_UNAVAILABLE)
		return;
	if (strcmp(line, SIDECAR_TAKEN) == 0) {
		taken(sidecar, &formers);
		return;
	}
	passed_fds_close(&formers);
	if (len > 0) {
		refused(sidecar);
		return;
	}
	log_warning(COMPONENT, "the sidecar before has ended");
	loop_io_stop(&sidecar->take_over.io);
	sidecar->take_over.is_alone = true;
	if (is_prepared(sidecar))
		serve_alone(sidecar);
}

static uint64_t taken_within_ms(const struct sidecar *sidecar)
{
	uint64_t until_ms = sidecar->made_ms + sidecar->options.take_over_ms, now_ms = loop_now_ms(sidecar->loop);
	return until_ms > now_ms + TAKEN_MIN_MS ? until_ms - now_ms : TAKEN_MIN_MS;
}

/* Its channel is closed at once, so that the other one, once it runs again, goes on. */
static void on_no_answer(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, take_over.poll);
	struct why why = {0};
	fd_close(leave(&sidecar->take_over));
	(void)why_set(&why, ERR_TIMEOUT, "a running sidecar that answers within the timeout",
		"inspect that process: it is stopped, or has no processor time", "process %d does not answer",
		(int)sidecar->take_over.pid);
	log_why(LOG_LEVEL_ERROR, COMPONENT, "not taken over; the former sidecar continues to serve", &why);
	sidecar->has_failed = true;
	loop_stop(sidecar->loop);
}

static void on_poll(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, take_over.poll);
	if (!is_prepared(sidecar)) {
		if (loop_now_ms(sidecar->loop) - sidecar->made_ms >= sidecar->options.take_over_ms)
			give_up(sidecar);
		else
			loop_timer_start(sidecar->loop, timer, POLL_MS, on_poll);
		return;
	}
	if (sidecar->take_over.is_alone) {
		serve_alone(sidecar);
		return;
	}
	/* It fits into the empty buffer; if the other one has ended, on_answer() hears of it. */
	(void)!send(sidecar->take_over.fd, SIDECAR_TAKE, strlen(SIDECAR_TAKE), MSG_NOSIGNAL);
	loop_timer_start(sidecar->loop, timer, taken_within_ms(sidecar), on_no_answer);
}

void sidecar_take_over_start(struct sidecar *sidecar)
{
	struct sidecar_take_over *take_over = &sidecar->take_over;
	state_folder_wait(sidecar->state, true);
	loop_io_start(sidecar->loop, &take_over->io, take_over->fd, LOOP_READ, on_answer);
	loop_timer_start(sidecar->loop, &take_over->poll, POLL_MS, on_poll);
}
