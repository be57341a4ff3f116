#include "base/net/listener.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
	MAX_ACCEPTS_PER_ROUND = 64, /* a flood of connections must not starve the established ones */
	RETRY_MS = 100,
	CALM_MS = 5000, /* without a pause: the episode ends */
	/* During a short shortage clients wait in the backlog; after a second they are refused. */
	MAX_PATIENT_RETRIES = 10,
};

struct listener {
	struct loop *loop;
	int fd;
	int reserve_fd; /* closed to refuse one client when no descriptor is left; -1: closed */
	struct loop_io io;
	struct loop_timer retry;
	struct loop_timer calm; /* runs after a resume */
	struct {
		bool is_open; /* its begin was logged, its end not yet */
		uint64_t began_ms, num_pauses, num_refused;
	} episode;
	uint64_t num_exhausted, num_refused; /* in all */
	bool is_held;                        /* before listener_start() */
	bool is_exhausted;                   /* paused by the listener itself */
	unsigned num_retries;
	unsigned num_pauses; /* by the owner */
	bool is_accepting;   /* in accept_some(), which calls the owner */
	bool is_freed;       /* freed during that: accept_some() releases the memory */
	listener_accept_fn *on_accept;
	listener_pause_fn *on_pause;
	void *arg;
};

static void on_ready(struct loop_io *io, unsigned ready);
static void on_retry(struct loop_timer *timer);

struct listener *listener_new(
	struct loop *loop, int listening_fd, listener_accept_fn *on_accept, listener_pause_fn *on_pause, void *arg)
{
	CHECK(listening_fd >= 0 && on_accept != NULL);
	struct listener *listener = mem_new(struct listener);
	*listener = (struct listener){
		.loop = loop,
		.fd = listening_fd,
		.reserve_fd = fd_spare(),
		.on_accept = on_accept,
		.on_pause = on_pause,
		.arg = arg,
	};
	loop_io_start(loop, &listener->io, listening_fd, LOOP_READ, on_ready);
	return listener;
}

void listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	CHECK(!listener->is_freed);
	loop_io_stop(&listener->io);
	loop_timer_stop(&listener->retry);
	loop_timer_stop(&listener->calm);
	fd_close(listener->fd);
	fd_close(listener->reserve_fd);
	listener->is_freed = true;
	if (!listener->is_accepting)
		mem_free(listener);
}

static bool is_paused(const struct listener *listener)
{
	return listener->is_exhausted || listener->num_pauses > 0;
}

static void watch(struct listener *listener)
{
	if (!listener->is_held)
		loop_io_set_interest(&listener->io, is_paused(listener) ? 0 : LOOP_READ);
}

/* Refuses one waiting client by means of the reserve descriptor. Returns whether one was waiting. */
static bool refuse_one(struct listener *listener)
{
	struct addr peer;
	int fd = -1;
	if (listener->reserve_fd < 0)
		return false;
	fd_close(TAKE_FD(listener->reserve_fd));
	enum err err = fd_accept(listener->fd, &peer, &fd);
	if (err == ERR_NONE) {
		socket_set_reset_on_close(fd, true);
		fd_close(fd);
		listener->num_refused++;
	}
	listener->reserve_fd = fd_spare();
	return err == ERR_NONE;
}

/* Clients that wait because of the owner's limit are not refused here. */
static void refuse_the_waiting(struct listener *listener)
{
	if (listener->num_pauses > 0 || ++listener->num_retries < MAX_PATIENT_RETRIES)
		return;
	for (unsigned i = 0; i < MAX_ACCEPTS_PER_ROUND; i++)
		if (!refuse_one(listener))
			return;
}

static const char *name_of(const struct listener *listener, char out[ADDR_TEXT_MAX])
{
	struct addr addr;
	if (socket_local_addr(listener->fd, &addr) == ERR_NONE && addr.ip.family != 0)
		return addr_format(&addr, out);
	snprintf(out, ADDR_TEXT_MAX, "a Unix socket");
	return out;
}

static void episode_begin(struct listener *listener, enum err err)
{
	char name[ADDR_TEXT_MAX];
	struct why why = {0};
	if (listener->episode.is_open)
		return;
	listener->episode.is_open = true;
	listener->episode.began_ms = loop_now_ms(listener->loop);
	listener->episode.num_pauses = listener->num_exhausted;
	listener->episode.num_refused = listener->num_refused;
	(void)why_set(&why, err, "a free file descriptor per connection",
		"raise the limit of open files (LimitNOFILE=, `ulimit -Hn`), or find out which clients open so many "
		"connections",
		"cannot accept at %s: %s", name_of(listener, name), err_text(err));
	log_why(LOG_LEVEL_WARNING, "listener", "accepting is paused; new connections wait and are then refused", &why);
}

static void on_calm(struct loop_timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, calm);
	char name[ADDR_TEXT_MAX];
	CHECK(listener->episode.is_open && !listener->is_exhausted);
	listener->episode.is_open = false;
	log_notice("listener",
		"accepting again at %s: the shortage of descriptors began %" PRIu64 " ms ago; %" PRIu64
		" pauses, %" PRIu64 " connections refused",
		name_of(listener, name), loop_now_ms(listener->loop) - listener->episode.began_ms,
		listener->num_exhausted - listener->episode.num_pauses,
		listener->num_refused - listener->episode.num_refused);
}

static void set_exhausted(struct listener *listener, bool is_exhausted)
{
	if (listener->is_exhausted == is_exhausted)
		return;
	listener->is_exhausted = is_exhausted;
	listener->num_retries = 0;
	watch(listener);
	if (is_exhausted) {
		listener->num_exhausted++;
		loop_timer_stop(&listener->calm);
	} else {
		loop_timer_start(listener->loop, &listener->calm, CALM_MS, on_calm);
	}
	if (listener->on_pause != NULL)
		listener->on_pause(listener->arg, is_exhausted);
}

/* Whether another accept can succeed. */
static bool accept_one(struct listener *listener)
{
	struct addr peer;
	int fd = -1;
	enum err err = fd_accept(listener->fd, &peer, &fd);
	if (err == ERR_UNAVAILABLE)
		return false;
	if (err != ERR_NONE) {
		/* Any other error: retrying at once would spin. */
		loop_timer_start(listener->loop, &listener->retry, RETRY_MS, on_retry);
		episode_begin(listener, err);
		set_exhausted(listener, true);
		return false;
	}
	listener->on_accept(listener->arg, fd, &peer);
	return !listener->is_freed && !is_paused(listener);
}

/* Accepts until no client waits, the owner pauses, or the maximum per round is reached. */
static void accept_some(struct listener *listener)
{
	CHECK(!listener->is_accepting && !is_paused(listener));
	listener->is_accepting = true;
	for (unsigned i = 0; i < MAX_ACCEPTS_PER_ROUND; i++)
		if (!accept_one(listener))
			break;
	listener->is_accepting = false;
	if (listener->is_freed)
		mem_free(listener);
}

static void on_ready(struct loop_io *io, _unused_ unsigned ready)
{
	accept_some(container_of(io, struct listener, io));
}

/* If the reserve can be opened again, a further descriptor is free too. */
static bool is_shed(struct listener *listener)
{
	if (listener->reserve_fd < 0)
		listener->reserve_fd = fd_spare();
	_cleanup_fd_ int probe = fd_spare();
	return listener->reserve_fd >= 0 && probe >= 0;
}

static void on_retry(struct loop_timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, retry);
	CHECK(listener->is_exhausted);
	if (is_shed(listener)) {
		set_exhausted(listener, false);
		return;
	}
	refuse_the_waiting(listener);
	loop_timer_start(listener->loop, &listener->retry, RETRY_MS, on_retry);
}

void listener_pause(struct listener *listener)
{
	listener->num_pauses++;
	watch(listener);
}

void listener_resume(struct listener *listener)
{
	CHECK(listener->num_pauses > 0);
	listener->num_pauses--;
	watch(listener);
}

/* A socket that does not listen yet is always ready, for an error. */
void listener_hold(struct listener *listener)
{
	CHECK(!listener->is_held);
	loop_io_stop(&listener->io);
	listener->is_held = true;
}

enum err listener_start(struct listener *listener, int backlog)
{
	CHECK(listener->is_held);
	if (listen(listener->fd, backlog) != 0)
		return err_from_errno(errno);
	listener->is_held = false;
	loop_io_start(listener->loop, &listener->io, listener->fd, is_paused(listener) ? 0 : LOOP_READ, on_ready);
	return ERR_NONE;
}

int listener_fd(const struct listener *listener)
{
	return listener->fd;
}

bool listener_is_exhausted(const struct listener *listener)
{
	return listener->is_exhausted;
}

uint64_t listener_num_pauses(const struct listener *listener)
{
	return listener->num_exhausted;
}

uint64_t listener_num_refused(const struct listener *listener)
{
	return listener->num_refused;
}
