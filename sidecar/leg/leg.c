#include "base/core/check.h"
#include "sidecar/leg/leg_ops.h"

void leg_init(struct leg *leg, const struct leg_ops *ops, struct loop *loop)
{
	leg->ops = ops;
	leg->loop = loop;
	leg->active_ms = loop_now_ms(loop);
	buf_init(&leg->buffered, LEG_BUFFERED_MAX);
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

void leg_deliver(struct leg *leg, struct span bytes)
{
	size_t taken = buf_len(&leg->buffered) == 0 ? push_to_other(leg, bytes) : 0;
	if (taken == bytes.len || leg->is_reset)
		return;
	/* Flow control keeps it far below the maximum, so no peer can reach this. */
	CHECK(buf_append(&leg->buffered, span_from(bytes, taken)) == ERR_NONE);
}

bool leg_deliver_buffered(struct leg *leg)
{
	if (buf_len(&leg->buffered) == 0)
		return true;
	buf_consume(&leg->buffered, push_to_other(leg, buf_span(&leg->buffered)));
	if (buf_len(&leg->buffered) > 0)
		return false;
	buf_done(&leg->buffered);
	return true;
}

size_t leg_take_buffered(struct leg *leg, uint8_t *to, size_t cap)
{
	size_t len = buf_len(&leg->buffered) < cap ? buf_len(&leg->buffered) : cap;
	if (len == 0)
		return 0;
	memcpy(to, buf_span(&leg->buffered).ptr, len);
	buf_consume(&leg->buffered, len);
	if (buf_len(&leg->buffered) == 0)
		buf_done(&leg->buffered);
	return len;
}

void leg_put_back(struct leg *leg, struct span bytes)
{
	if (leg->is_reset)
		return;
	CHECK(buf_len(&leg->buffered) == 0); /* a pull takes what is buffered before anything else */
	CHECK(buf_append(&leg->buffered, bytes) == ERR_NONE);
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
	buf_done(&leg->buffered);
	if (leg->listener != NULL)
		leg->listener->on_reset(leg, why);
}

void leg_reset(struct leg *leg)
{
	leg->is_reset = true;
	buf_done(&leg->buffered);
	leg->ops->reset(leg);
}

void leg_free(struct leg *leg)
{
	if (leg == NULL)
		return;
	leg_detach(leg);
	buf_done(&leg->buffered);
	leg->ops->free(leg);
}
