#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/leg/leg_ops.h"

void leg_init(struct leg *leg, const struct leg_ops *ops, struct loop *loop)
{
	leg->ops = ops;
	leg->loop = loop;
	leg->active_ms = loop_now_ms(loop);
}

void leg_attach(struct leg *leg, struct leg *other, const struct leg_listener *listener, void *owner)
{
	leg->other = other;
	leg->listener = listener;
	leg->owner = owner;
	if (listener != NULL && !leg->in_ended && !leg->is_reset)
		leg->ops->watch(leg);
}

void leg_detach(struct leg *leg)
{
	leg->other = NULL;
	leg->listener = NULL;
	leg->owner = NULL;
}

static size_t push_to_other(struct leg *leg, struct span bytes)
{
	struct leg *other = leg->other;
	if (other == NULL || other->ops->push == NULL || other->is_reset)
		return 0;
	size_t taken = 0;
	if (other->ops->push(other, bytes, &taken) == IO_FAILED)
		return 0;
	if (taken > 0)
		leg->ops->consumed(leg, taken);
	return taken;
}

static void keep(struct leg *leg, struct span bytes)
{
	if (bytes.len == 0)
		return;
	if (leg->buffered == NULL) {
		leg->buffered = mem_new(struct buf);
		buf_init(leg->buffered, LEG_BUFFERED_MAX);
	}
	/* Flow control keeps it far below the maximum, so no peer can reach this. */
	CHECK(buf_append(leg->buffered, bytes) == ERR_NONE);
}

void leg_drop_buffered(struct leg *leg)
{
	if (leg->buffered == NULL)
		return;
	buf_done(leg->buffered);
	mem_free(TAKE_PTR(leg->buffered));
}

static void consume_buffered(struct leg *leg, size_t len)
{
	buf_consume(leg->buffered, len);
	if (buf_len(leg->buffered) == 0)
		leg_drop_buffered(leg);
}

void leg_deliver(struct leg *leg, struct span bytes)
{
	size_t taken = leg->buffered == NULL ? push_to_other(leg, bytes) : 0;
	if (taken < bytes.len && !leg->is_reset)
		keep(leg, span_from(bytes, taken));
}

bool leg_deliver_buffered(struct leg *leg)
{
	if (leg->buffered == NULL)
		return true;
	size_t taken = push_to_other(leg, buf_span(leg->buffered));
	if (leg->buffered != NULL) /* else the other is lost, and all was dropped */
		consume_buffered(leg, taken);
	return leg->buffered == NULL;
}

size_t leg_take_buffered(struct leg *leg, uint8_t *to, size_t cap)
{
	if (leg->buffered == NULL)
		return 0;
	struct span bytes = buf_span(leg->buffered);
	size_t len = bytes.len < cap ? bytes.len : cap;
	memcpy(to, bytes.ptr, len);
	consume_buffered(leg, len);
	return len;
}

void leg_put_back(struct leg *leg, struct span bytes)
{
	if (leg->is_reset)
		return;
	struct buf *later = TAKE_PTR(leg->buffered);
	keep(leg, bytes);
	if (later != NULL) {
		keep(leg, buf_span(later));
		buf_done(later);
		mem_free(later);
	}
	leg->in_ended = false; /* a socket reports its end again */
}

void leg_count(struct leg *leg, size_t len)
{
	leg->sent += len;
	leg->active_ms = loop_now_ms(leg->loop);
}

void leg_inspect(struct leg *leg, const struct leg_inspection *inspection)
{
	if (leg->ops->inspect != NULL && leg->listener != NULL && !leg->is_reset)
		leg->ops->inspect(leg, inspection);
}

void leg_lost(struct leg *leg, const struct why *why)
{
	if (leg->is_reset)
		return;
	leg->is_reset = true;
	leg_drop_buffered(leg);
	if (leg->listener != NULL)
		leg->listener->on_reset(leg, why);
}

void leg_reset(struct leg *leg)
{
	leg->is_reset = true;
	leg_drop_buffered(leg);
	leg->ops->reset(leg);
}

void leg_free(struct leg *leg)
{
	if (leg == NULL)
		return;
	leg_detach(leg);
	leg_drop_buffered(leg);
	leg->ops->free(leg);
}
