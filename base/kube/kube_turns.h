/* Work in slices: what is due takes turns, at most 5 ms of it per round of the loop, then the rest of the loop has its
 * turn. Private to base/kube. */
#pragma once

#include "base/core/list.h"
#include "base/core/loop.h"

enum { KUBE_TURN_MS = 4 }; /* a turn begins within it, and is short */

struct kube_turns {
	struct loop *loop;
	struct list due;
	struct loop_task first;  /* at once */
	struct loop_timer later; /* in the next round */
};

struct kube_turn; /* embedded; zeroed: not due */
/* Does a little work, and may end any turn; returns whether its own is due again (false if it was ended). */
typedef bool kube_turn_fn(struct kube_turn *turn);
struct kube_turn {
	struct list_link link;
	kube_turn_fn *on_turn;
};

void kube_turns_init(struct kube_turns *turns, struct loop *loop);
void kube_turns_done(struct kube_turns *turns);
void kube_turn_due(struct kube_turns *turns, struct kube_turn *turn, kube_turn_fn *on_turn); /* no effect when due */
void kube_turn_end(struct kube_turn *turn);                                                  /* allowed when not due */
