/* The end that gives its listening sockets to another process, which upgrades it (decision 097). Until that one takes
 * them over nothing changes here, and until it serves they are held: if it fails, this one goes on (decision 116). */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/passed_fds.h"
#include "base/net/passed_sockets.h"
#include "sidecar/sidecar_private.h"
#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMPONENT "upgrade"
enum {
	WAIT_MS = SIDECAR_TAKE_OVER_MAX_MS + 10000, /* for one that has the sockets and neither takes over nor ends */
	CONFIRM_MS = 5000, /* for one that takes over and does not write that it serves: clients wait meanwhile */
};

/* Returns the descriptor, which is the caller's. */
static int leave(struct sidecar_hand_over *hand_over)
{
	loop_io_stop(&hand_over->io);
	loop_timer_stop(&hand_over->deadline);
	hand_over->is_open = hand_over->is_given = false;
	return hand_over->fd;
}

static void refuse(struct sidecar_hand_over *hand_over)
{
	(void)!send(hand_over->fd, SIDECAR_KEPT, strlen(SIDECAR_KEPT), MSG_NOSIGNAL);
	fd_close(leave(hand_over));
}

/* --- the other process takes over --- */

enum heard { HEARD_NOTHING, HEARD_BYTES, HEARD_END };
static enum heard hear(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (got > 0)
		return HEARD_BYTES;
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? HEARD_NOTHING : HEARD_END;
}

/* Clients wait in the backlog. A page or a command gets no answer of this process any more. */
static void hold(struct sidecar *sidecar)
{
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_hold(sidecar->workers[i]);
	admin_hold(sidecar->admin);
	if (sidecar->workload_api != NULL)
		workload_api_hold(sidecar->workload_api);
	admin_socket_hold(sidecar->admin_socket);
}

static void accept_again(struct sidecar *sidecar)
{
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_resume(sidecar->workers[i]);
	if (admin_start(sidecar->admin) != ERR_NONE)
		log_error(COMPONENT, "the pages, or the metrics, have no port");
	if (sidecar->workload_api != NULL)
		workload_api_resume(sidecar->workload_api);
	admin_socket_resume(sidecar->admin_socket);
}

static void stop_accepting(struct sidecar *sidecar)
{
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_hand_over(sidecar->workers[i]);
	admin_stop_accepting(sidecar->admin);
	workload_api_free(TAKE_PTR(sidecar->workload_api));
	admin_socket_free(TAKE_PTR(sidecar->admin_socket));
}

/* With it go the channels to former processes, of which this one keeps its own descriptors until the other serves. */
static enum err answer_taken(struct sidecar *sidecar)
{
	struct passed_fds formers;
	const struct span taken = span_of_str(SIDECAR_TAKEN);
	sidecar_formers_lend(sidecar, &formers);
	enum err err = passed_fds_send(sidecar->hand_over.fd, taken, formers.fds, formers.num);
	return err == ERR_NONE || err == ERR_CLOSED ? err : passed_fds_send(sidecar->hand_over.fd, taken, NULL, 0);
}

static void confirm(struct sidecar *sidecar)
{
	log_notice(COMPONENT,
		"process %d serves from now on; ending when no connection is open here, %.1f s at the latest",
		(int)sidecar->hand_over.pid, (double)sidecar->config->upgrade_ms / 1000);
	state_folder_leave(sidecar->state);
	sidecar_formers_stop(sidecar);
	sidecar_successor_follow(sidecar, leave(&sidecar->hand_over));
	stop_accepting(sidecar);
	sidecar_end_after_hand_over(sidecar);
}

static void take_back(struct sidecar *sidecar)
{
	log_warning(COMPONENT, "process %d has taken over and does not serve; this process continues to serve",
		(int)sidecar->hand_over.pid);
	fd_close(leave(&sidecar->hand_over));
	state_folder_wait(sidecar->state, false);
	sidecar_kept_flush(sidecar);
	sidecar_formers_return(sidecar);
	accept_again(sidecar);
}

/* Either the first line of the other process is here, or it cannot be written any more, and that process reads that
 * this one goes on. So one of both serves, whatever happens at once. */
static void settle(struct sidecar *sidecar)
{
	int fd = sidecar->hand_over.fd;
	(void)!send(fd, SIDECAR_KEPT, strlen(SIDECAR_KEPT), MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_RD);
	if (hear(fd) == HEARD_BYTES)
		confirm(sidecar);
	else
		take_back(sidecar);
}

static void on_unconfirmed(struct loop_timer *timer)
{
	settle(container_of(timer, struct sidecar, hand_over.deadline));
}

/* The line stays for sidecar_successor.c. */
static void on_confirmation(struct sidecar *sidecar)
{
	enum heard heard = hear(sidecar->hand_over.fd);
	if (heard == HEARD_BYTES)
		confirm(sidecar);
	else if (heard == HEARD_END)
		take_back(sidecar);
}

/* The state folder is left before the other process writes to it. This one holds its sockets until that one has written
 * its modes, which is the first that it does: if it ends before, this one goes on (decision 116). */
static void give(struct sidecar *sidecar)
{
	struct sidecar_hand_over *hand_over = &sidecar->hand_over;
	sidecar_kept_flush(sidecar);
	state_folder_wait(sidecar->state, true);
	hold(sidecar);
	hand_over->is_given = true;
	loop_timer_start(sidecar->loop, &hand_over->deadline, CONFIRM_MS, on_unconfirmed);
	if (answer_taken(sidecar) != ERR_NONE)
		take_back(sidecar);
}

static bool may_take(const struct sidecar *sidecar, const char *line)
{
	return strcmp(line, SIDECAR_TAKE) == 0 && !sidecar->is_ending && hear(sidecar->hand_over.fd) == HEARD_NOTHING;
}

static void on_readable(struct loop_io *io, unsigned ready)
{
	struct sidecar *sidecar = container_of(io, struct sidecar, hand_over.io);
	struct sidecar_hand_over *hand_over = &sidecar->hand_over;
	char line[sizeof(SIDECAR_TAKE)] = "";
	(void)ready;
	if (hand_over->is_given) {
		on_confirmation(sidecar);
		return;
	}
	ssize_t got = read(hand_over->fd, line, sizeof(SIDECAR_TAKE) - 1);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (may_take(sidecar, line)) {
		give(sidecar);
		return;
	}
	log_warning(COMPONENT, "process %d does not take over; this process continues to serve", (int)hand_over->pid);
	refuse(hand_over);
}

void sidecar_hand_over_stop(struct sidecar *sidecar)
{
	if (!sidecar->hand_over.is_open)
		return;
	if (sidecar->hand_over.is_given) {
		settle(sidecar);
		return;
	}
	log_warning(COMPONENT, "process %d may not take over", (int)sidecar->hand_over.pid);
	refuse(&sidecar->hand_over);
}

static void on_late(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, hand_over.deadline);
	log_warning(COMPONENT, "process %d does not take over within %d s; this process continues to serve",
		(int)sidecar->hand_over.pid, WAIT_MS / 1000);
	refuse(&sidecar->hand_over);
}

static size_t collect(const struct sidecar *sidecar, int *out, size_t num)
{
	size_t len = 0;
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		len += worker_sockets(sidecar->workers[i], out + len, num - len);
	len += admin_sockets(sidecar->admin, out + len, num - len);
	if (len < num && sidecar->workload_api != NULL)
		out[len++] = workload_api_socket(sidecar->workload_api);
	if (len < num)
		out[len++] = admin_socket_fd(sidecar->admin_socket);
	return len;
}

static enum err offer(const struct sidecar *sidecar, int fd, size_t *num, struct why *why)
{
	int *sockets = mem_calloc(PASSED_SOCKETS_MAX + 1, sizeof(int));
	*num = collect(sidecar, sockets, PASSED_SOCKETS_MAX + 1);
	enum err err = passed_sockets_send(fd, sockets, *num, why);
	mem_free(sockets);
	return err;
}

static enum err judge(const struct sidecar *sidecar, struct why *why)
{
	if (sidecar->hand_over.is_open)
		return why_set(why, ERR_CONFLICT, "one process at a time that takes over",
			"wait until it has, or end it", "process %d is taking over", (int)sidecar->hand_over.pid);
	if (sidecar->is_ending || sidecar->is_draining)
		return why_set(why, ERR_CONFLICT, "a sidecar that continues to serve",
			"start another one when it has ended", "the sidecar drains or ends");
	if (getpid() == 1) /* the container would end with it, and the new process too */
		return why_set(why, ERR_CONFLICT, "a sidecar that is not the first process of its container",
			"restart the pod or the container: `kubectl rollout restart`",
			"the sidecar is process 1, and no process outlives that one");
	return ERR_NONE;
}

void sidecar_on_hand_over(void *arg, int fd, const struct peer_process *peer)
{
	struct sidecar *sidecar = arg;
	struct sidecar_hand_over *hand_over = &sidecar->hand_over;
	struct why why = {0};
	size_t num = 0;
	char text[sizeof(why) + 32];
	enum err err = judge(sidecar, &why);
	if (err == ERR_NONE)
		err = offer(sidecar, fd, &num, &why);
	if (err != ERR_NONE) {
		_cleanup_(mem_freep) char *line = mem_printf("%s\n", why_format(&why, text, sizeof(text)));
		log_why(LOG_LEVEL_WARNING, COMPONENT, "not handed over", &why);
		(void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
		fd_close(fd);
		return;
	}
	log_notice(COMPONENT, "process %d prepares to take over; it has %zu listening sockets", (int)peer->pid, num);
	hand_over->is_open = true;
	hand_over->fd = fd;
	hand_over->pid = peer->pid;
	loop_io_start(sidecar->loop, &hand_over->io, fd, LOOP_READ, on_readable);
	loop_timer_start(sidecar->loop, &hand_over->deadline, WAIT_MS, on_late);
}
