/* A TLS session as a leg. It takes pushes, as a socket does: what the session has encrypted and the kernel does not
 * take stays in the session, and no more is taken until it has left. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/direct/direct_private.h"

enum { PUSH_MAX = 16 * 1024 }; /* encrypted at once, for a peer that may not read */

static struct direct_leg *direct_of(struct leg *leg)
{
	return container_of(leg, struct direct_leg, leg);
}

void direct_leg_set_interest(struct direct_leg *direct, unsigned interest)
{
	direct->interest = interest;
	loop_io_set_interest(&direct->io, interest);
}

enum io_result direct_leg_handshake(struct direct_leg *direct)
{
	enum io_result result = tls_session_handshake(direct->tls);
	if (result == IO_WANT_READ)
		direct_leg_set_interest(direct, LOOP_READ);
	else if (result == IO_WANT_WRITE)
		direct_leg_set_interest(direct, LOOP_READ | LOOP_WRITE);
	return result;
}

static void lost(struct direct_leg *direct, const struct why *why)
{
	direct_leg_set_interest(direct, 0);
	loop_task_cancel(&direct->pending);
	leg_lost(&direct->leg, why);
}

static void failed(struct direct_leg *direct)
{
	struct why why = *tls_session_why(direct->tls);
	lost(direct, &why);
}

/* --- trust that changes --- */

enum err direct_no_identity(struct why *why)
{
	return why_set(why, ERR_UNAVAILABLE, "a valid identity of this sidecar",
		"check that the control plane is reachable: `handfast check`", "this sidecar has no valid identity");
}

enum err direct_leg_check_trust(const struct direct_leg *direct, const struct credentials *credentials, struct why *why)
{
	CHECK(!direct->is_open && direct->peer != NULL);
	if (credentials == NULL)
		return direct_no_identity(why);
	if (credentials_generation(credentials) == direct->generation)
		return ERR_NONE;
	return verify_still_trusted(direct->peer, credentials_bundles(credentials), why);
}

void direct_leg_judge(struct direct_leg *direct, const struct bundle_set *bundles)
{
	struct why why = {0};
	if (!direct->is_open || direct->leg.is_reset || verify_still_trusted(direct->peer, bundles, &why) == ERR_NONE)
		return;
	direct->leg.is_withdrawn = true;
	lost(direct, &why);
}

/* --- towards the peer --- */

/* Everything has left: the end may follow, or more bytes. */
static void drained(struct direct_leg *direct)
{
	struct leg *leg = &direct->leg;
	direct_leg_set_interest(direct, direct->interest & ~(unsigned)LOOP_WRITE);
	if (direct->is_ending && !leg->out_ended) {
		leg->out_ended = true;
		(void)shutdown(tls_session_fd(direct->tls), SHUT_WR); /* fails where it is reset; reading reports it */
		if (leg->listener != NULL)
			leg->listener->on_ended(leg);
	} else if (direct->owes_writable && leg->listener != NULL) {
		direct->owes_writable = false;
		leg->listener->on_writable(leg);
	}
}

/* False: it is lost. */
static bool flush(struct direct_leg *direct)
{
	switch (tls_session_flush(direct->tls)) {
	case IO_DONE:
		return true;
	case IO_WANT_READ:
	case IO_WANT_WRITE:
		direct_leg_set_interest(direct, direct->interest | LOOP_WRITE);
		return true;
	case IO_EOF:
	case IO_FAILED:
		failed(direct);
		return false;
	}
	CHECK_UNREACHABLE();
}

static enum io_result direct_push(struct leg *leg, struct span bytes, size_t *out_len)
{
	struct direct_leg *direct = direct_of(leg);
	*out_len = 0;
	while (*out_len < bytes.len && tls_session_unflushed(direct->tls) == 0) {
		struct span rest = span_from(bytes, *out_len);
		size_t len = 0;
		if (rest.len > PUSH_MAX)
			rest.len = PUSH_MAX;
		if (tls_session_write(direct->tls, rest, &len) != IO_DONE) {
			failed(direct);
			return IO_FAILED;
		}
		*out_len += len;
		if (!flush(direct))
			return IO_FAILED;
	}
	leg_count(leg, *out_len);
	if (*out_len == bytes.len)
		return IO_DONE;
	direct->owes_writable = true;
	return IO_WANT_WRITE;
}

static void direct_push_end(struct leg *leg)
{
	struct direct_leg *direct = direct_of(leg);
	if (direct->is_ending)
		return;
	direct->is_ending = true;
	tls_session_close_notify(direct->tls);
	if (flush(direct) && tls_session_unflushed(direct->tls) == 0)
		drained(direct);
}

/* --- from the peer --- */

static void on_pending(struct loop_task *task)
{
	struct direct_leg *direct = container_of(task, struct direct_leg, pending);
	if (direct->leg.listener != NULL && !direct->leg.is_reset)
		direct->leg.listener->on_readable(&direct->leg);
}

static void direct_watch(struct leg *leg)
{
	struct direct_leg *direct = direct_of(leg);
	if (tls_session_has_pending(direct->tls))
		loop_task_post_next(leg->loop, &direct->pending, on_pending);
	else
		direct_leg_set_interest(direct, direct->interest | LOOP_READ);
}

static enum io_result direct_pull(struct leg *leg, uint8_t *to, size_t cap, size_t *out_len)
{
	struct direct_leg *direct = direct_of(leg);
	*out_len = leg_take_buffered(leg, to, cap);
	if (*out_len > 0)
		return IO_DONE;
	enum io_result result = tls_session_read(direct->tls, to, cap, out_len);
	switch (result) {
	case IO_DONE:
		break;
	case IO_EOF:
		leg->in_ended = true;
		break;
	case IO_WANT_READ:
	case IO_WANT_WRITE:
		direct_watch(leg);
		return IO_WANT_READ;
	case IO_FAILED: /* also the end without close_notify: bytes may be missing */
		failed(direct);
		break;
	}
	return result;
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct direct_leg *direct = container_of(io, struct direct_leg, io);
	struct leg *leg = &direct->leg;
	ready &= direct->interest;
	direct_leg_set_interest(direct, direct->interest & ~(ready & LOOP_READ));
	if (leg->listener == NULL)
		return;
	if ((ready & LOOP_READ) != 0)
		leg->listener->on_readable(leg);
	if ((ready & LOOP_WRITE) != 0 && !leg->is_reset && flush(direct) && tls_session_unflushed(direct->tls) == 0)
		drained(direct);
}

void direct_leg_start(struct direct_leg *direct)
{
	loop_io_stop(&direct->io);
	direct->interest = 0;
	loop_io_start(direct->leg.loop, &direct->io, tls_session_fd(direct->tls), 0, on_ready);
	if (tls_session_unflushed(direct->tls) > 0)
		direct_leg_set_interest(direct, LOOP_WRITE);
}

/* --- the rest of the interface --- */

static void direct_consumed(struct leg *leg, size_t len)
{
	(void)leg; /* the kernel's window opens by itself when we read on */
	(void)len;
}

static void direct_inspect(struct leg *leg, const struct leg_inspection *inspection)
{
	struct direct_leg *direct = direct_of(leg);
	int fd = tls_session_fd(direct->tls);
	struct why why = {0};
	if (!direct->has_keepalive)
		socket_set_keepalive(fd, &inspection->keepalive);
	direct->has_keepalive = true;
	struct socket_unacked unacked = {0};
	if (inspection->asks_kernel)
		unacked = socket_unacked(fd);
	enum err err = (direct->interest & LOOP_READ) != 0 ? ERR_NONE : socket_take_failure(fd);
	if (err == ERR_NONE && unacked.has_any && unacked.in_flight && unacked.silence_ms >= inspection->silence_ms)
		err = ERR_TIMEOUT;
	if (err == ERR_NONE)
		return;
	why_set(&why, err, "a peer that stays until both sides end the connection",
		"check that the peer runs, and the network to it", "%s while nothing was read from it", err_text(err));
	lost(direct, &why);
}

static void direct_reset(struct leg *leg)
{
	struct direct_leg *direct = direct_of(leg);
	direct_leg_set_interest(direct, 0);
	loop_task_cancel(&direct->pending);
}

static void direct_free(struct leg *leg)
{
	struct direct_leg *direct = direct_of(leg);
	loop_io_stop(&direct->io);
	loop_task_cancel(&direct->pending);
	loop_timer_stop(&direct->deadline);
	shares_give(&direct->handshake);
	list_remove(&direct->link);
	if (direct->tls != NULL) {
		socket_set_reset_on_close(tls_session_fd(direct->tls), !leg->out_ended || leg->is_reset);
		tls_session_free(direct->tls);
	}
	svid_unref(direct->peer);
	mem_free(direct);
}

static const struct svid *direct_peer(const struct leg *leg)
{
	return container_of(leg, const struct direct_leg, leg)->peer;
}

const struct leg_ops direct_leg_ops = {
	.pull = direct_pull,
	.push = direct_push,
	.push_end = direct_push_end,
	.consumed = direct_consumed,
	.watch = direct_watch,
	.inspect = direct_inspect,
	.reset = direct_reset,
	.free = direct_free,
	.peer = direct_peer,
};
