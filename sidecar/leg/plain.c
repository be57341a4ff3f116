/* A socket as a leg. Its watcher is level-triggered, so it watches for reading only while the other side will read: an
 * event stops the watch, and a pull that finds nothing starts it again. Within one round that costs no system call.
 * What it then does not see, an inspection finds a second later: a reset, and a peer that acknowledges nothing.
 *
 * From its creation the socket is set to reset when it is closed: when this process is killed, its application must not
 * take half an answer for a whole one. That setting is removed only before an orderly close. */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/leg/leg_ops.h"
#include <errno.h>

struct plain_leg {
	struct leg leg;
	struct loop_io io;
	int fd;
	unsigned interest;
	uint32_t moved;      /* bytes either way, while needs_limit */
	bool is_drained : 1; /* the last read took all there was: the next needs no recv(2) to know */
	bool has_keepalive : 1;
	bool is_left : 1; /* its other end ended, then reset: what it sent is whole, nothing more can be sent to it */
	bool needs_nodelay : 1, needs_limit : 1; /* of a socket that was connected: not set yet */
	bool is_near : 1;
	uint64_t unacked_since_ms; /* an inspection found bytes that nothing acknowledged; 0: none */
};

enum {
	/* How long bytes of an end that has closed may wait. The kernel, too, gives up such a
	 * connection when its other side does not read on. */
	LEFT_MS = 60000,
	/* What a connection always sends at once: one segment, with nothing before it. */
	FIRST_PUSH_MAX = 1024,
	WINDOW_PROBES = 3, /* without an answer: the kernel itself waits up to two minutes between them */
};
_Static_assert(sizeof(struct plain_leg) <= 152, "what an idle connection costs is a promise");

static struct plain_leg *plain_of(struct leg *leg)
{
	return container_of(leg, struct plain_leg, leg);
}

static void set_interest(struct plain_leg *plain, unsigned interest)
{
	plain->interest = interest;
	loop_io_set_interest(&plain->io, interest);
}

static void plain_lost(struct plain_leg *plain, enum err err, const char *doing)
{
	struct why why = {0};
	if (err == ERR_CLOSED) /* it closed without reading on: to us the same as a reset */
		err = ERR_RESET;
	if (err == ERR_TIMEOUT)
		why_set(&why, err, "a host that answers within the keepalive time",
			"check that the host runs, and the network to it", "the host was silent while %s", doing);
	else
		why_set(&why, err, "a connection that stays until both sides end it", "find out why that side ended it",
			"%s while %s", err_text(err), doing);
	set_interest(plain, 0);
	leg_lost(&plain->leg, &why);
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct plain_leg *plain = container_of(io, struct plain_leg, io);
	struct leg *leg = &plain->leg;
	ready &= plain->interest;
	set_interest(plain, plain->interest & ~ready);
	if (leg->listener == NULL) /* between two owners: the next one watches again */
		return;
	/* One event may end it all, but never frees the leg: its owner does that from a task. */
	if ((ready & LOOP_READ) != 0) {
		plain->is_drained = false;
		leg->listener->on_readable(leg);
	}
	if ((ready & LOOP_WRITE) != 0 && leg->listener != NULL && !leg->is_reset)
		leg->listener->on_writable(leg);
}

static void plain_watch(struct leg *leg)
{
	struct plain_leg *plain = plain_of(leg);
	set_interest(plain, plain->interest | LOOP_READ);
}

static enum io_result nothing_yet(struct plain_leg *plain)
{
	plain->is_drained = false;
	plain_watch(&plain->leg);
	return IO_WANT_READ;
}

static void count_moved(struct plain_leg *plain, size_t len)
{
	if (!plain->needs_limit)
		return;
	plain->moved += (uint32_t)len;
	if (plain->moved < SOCKET_SMALL_MAX)
		return;
	plain->needs_limit = false;
	socket_limit_memory(plain->fd, plain->is_near);
}

static void before_push(struct plain_leg *plain, size_t len)
{
	if (!plain->needs_nodelay || (plain->leg.sent == 0 && len <= FIRST_PUSH_MAX))
		return;
	plain->needs_nodelay = false;
	socket_set_nodelay(plain->fd);
}

static enum io_result plain_pull(struct leg *leg, uint8_t *to, size_t cap, size_t *out_len)
{
	struct plain_leg *plain = plain_of(leg);
	*out_len = leg_take_buffered(leg, to, cap); /* put back by an attempt that failed */
	if (*out_len > 0)
		return IO_DONE;
	if (plain->is_drained)
		return nothing_yet(plain);
	ssize_t len;
	do
		len = recv(plain->fd, to, cap, 0);
	while (len < 0 && errno == EINTR);
	if (len > 0) {
		plain->is_drained = (size_t)len < cap;
		count_moved(plain, (size_t)len);
		*out_len = (size_t)len;
		return IO_DONE;
	}
	if (len == 0) {
		leg->in_ended = true;
		return IO_EOF;
	}
	if (errno == EAGAIN)
		return nothing_yet(plain);
	plain_lost(plain, err_from_errno(errno), "reading from it");
	return IO_FAILED;
}

static enum io_result plain_push(struct leg *leg, struct span bytes, size_t *out_len)
{
	struct plain_leg *plain = plain_of(leg);
	ssize_t len;
	before_push(plain, bytes.len);
	do
		len = send(plain->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
	while (len < 0 && errno == EINTR);
	if (len < 0 && errno != EAGAIN) {
		plain_lost(plain, err_from_errno(errno), "writing to it");
		return IO_FAILED;
	}
	*out_len = len < 0 ? 0 : (size_t)len;
	leg_count(leg, *out_len);
	count_moved(plain, *out_len);
	if (*out_len == bytes.len)
		return IO_DONE;
	set_interest(plain, plain->interest | LOOP_WRITE);
	return IO_WANT_WRITE;
}

static void plain_push_end(struct leg *leg)
{
	if (leg->out_ended)
		return;
	leg->out_ended = true;
	/* Where the other direction is over too, the close that follows in this round ends it as well. */
	bool is_over = leg->in_ended && leg->other != NULL && leg->other->out_ended;
	if (!is_over)
		(void)shutdown(
			plain_of(leg)->fd, SHUT_WR); /* fails only where it is reset already; reading reports it */
	leg->listener->on_ended(leg);
}

static void plain_consumed(struct leg *leg, size_t len)
{
	(void)leg; /* the kernel's window opens by itself when we read on */
	(void)len;
}

/* --- what no event reports --- */

static bool is_standing_still(const struct leg *leg, uint64_t now_ms)
{
	return leg->other != NULL && now_ms - leg->other->active_ms >= LEFT_MS;
}

/* Epoll would report a reset at any time, but libev takes a descriptor without an interest out of it, and to keep it
 * there would cost a system call at every pause of every transfer. */
static void check_for_reset(struct plain_leg *plain, uint64_t now_ms)
{
	if ((plain->interest & LOOP_READ) != 0)
		return;
	enum err err = socket_take_failure(plain->fd);
	if (err == ERR_CLOSED && !plain->leg.in_ended)
		plain->is_left = true;
	else if (err != ERR_NONE)
		plain_lost(plain, err, "nothing was read from it");
	else if (plain->is_left && is_standing_still(&plain->leg, now_ms))
		plain_lost(plain, ERR_RESET, "its last bytes were not taken by the other side");
}

/* The kernel's own TCP_USER_TIMEOUT would also end a connection whose reader is alive and only does not read
 * (docs/decisions/022). */
static void check_for_silence(struct plain_leg *plain, const struct leg_inspection *inspection)
{
	struct socket_unacked unacked = socket_unacked(plain->fd);
	if (!unacked.has_any || plain->unacked_since_ms == 0 || unacked.silence_ms < inspection->silence_ms) {
		plain->unacked_since_ms = unacked.has_any ? inspection->now_ms : 0;
		return;
	}
	bool is_unanswered = unacked.in_flight || unacked.probes >= WINDOW_PROBES;
	if (is_unanswered && inspection->now_ms - plain->unacked_since_ms >= inspection->silence_ms)
		plain_lost(plain, ERR_TIMEOUT, "waiting for acknowledgments of what was sent to it");
}

static void plain_inspect(struct leg *leg, const struct leg_inspection *inspection)
{
	struct plain_leg *plain = plain_of(leg);
	if (!plain->has_keepalive) /* here, so that a short connection does not pay for it */
		socket_set_keepalive(plain->fd, &inspection->keepalive);
	plain->has_keepalive = true;
	check_for_reset(plain, inspection->now_ms);
	if (inspection->asks_kernel && !leg->is_reset)
		check_for_silence(plain, inspection);
}

static void plain_reset(struct leg *leg)
{
	struct plain_leg *plain = plain_of(leg);
	set_interest(plain, 0); /* and plain_free() resets it */
}

static void plain_free(struct leg *leg)
{
	struct plain_leg *plain = plain_of(leg);
	loop_io_stop(&plain->io);
	socket_set_reset_on_close(plain->fd, !leg->out_ended || leg->is_reset);
	fd_close(plain->fd);
	mem_free(plain);
}

static const struct svid *plain_peer(const struct leg *leg)
{
	(void)leg;
	return NULL;
}

static const struct leg_ops plain_ops = {
	.pull = plain_pull,
	.push = plain_push,
	.push_end = plain_push_end,
	.consumed = plain_consumed,
	.watch = plain_watch,
	.inspect = plain_inspect,
	.reset = plain_reset,
	.free = plain_free,
	.peer = plain_peer,
};

static struct plain_leg *plain_new(struct loop *loop, int fd)
{
	struct plain_leg *plain = mem_new(struct plain_leg);
	leg_init(&plain->leg, &plain_ops, loop);
	plain->fd = fd;
	loop_io_start(loop, &plain->io, fd, 0, on_ready);
	return plain;
}

struct leg *leg_new_plain(struct loop *loop, int fd)
{
	return &plain_new(loop, fd)->leg;
}

struct leg *leg_new_connected(struct loop *loop, int fd, bool is_near)
{
	struct plain_leg *plain = plain_new(loop, fd);
	plain->needs_nodelay = true;
	plain->needs_limit = true;
	plain->is_near = is_near;
	return &plain->leg;
}
