#include "base/kube/kube_turns.h"
#include "base/core/check.h"

static void on_later(struct loop_timer *timer);

static void take_turns(struct kube_turns *turns)
{
	const struct clock *clock = loop_clock(turns->loop);
	uint64_t until_ms = clock->mono_ms(clock) + KUBE_TURN_MS;
	while (!list_is_empty(&turns->due)) {
		if (clock->mono_ms(clock) >= until_ms) {
			loop_timer_start(turns->loop, &turns->later, 0, on_later);
			return;
		}
		struct kube_turn *turn = LIST_FIRST(&turns->due, struct kube_turn, link);
		list_remove(&turn->link);
		if (turn->on_turn(turn) && !list_is_linked(&turn->link))
			list_push_back(&turns->due, &turn->link);
	}
}

static void on_later(struct loop_timer *timer)
{
	take_turns(container_of(timer, struct kube_turns, later));
}

static void on_first(struct loop_task *task)
{
	take_turns(container_of(task, struct kube_turns, first));
}

void kube_turns_init(struct kube_turns *turns, struct loop *loop)
{
	*turns = (struct kube_turns){.loop = loop};
}

void kube_turns_done(struct kube_turns *turns)
{
	LIST_EACH_REMOVABLE(&turns->due, struct kube_turn, turn, link)
		list_remove(&turn->link);
	loop_task_cancel(&turns->first);
	loop_timer_stop(&turns->later);
}

void kube_turn_due(struct kube_turns *turns, struct kube_turn *turn, kube_turn_fn *on_turn)
{
	turn->on_turn = on_turn;
	if (list_is_linked(&turn->link))
		return;
	list_push_back(&turns->due, &turn->link);
	if (!loop_timer_is_armed(&turns->later))
		loop_task_post(turns->loop, &turns->first, on_first);
}

void kube_turn_end(struct kube_turn *turn)
{
	if (list_is_linked(&turn->link))
		list_remove(&turn->link);
}
