/* The event loop; the only file that calls libev. One loop per thread; all functions but loop_post() must be called on
 * that thread. Watchers are embedded in the caller's structs; a zeroed one is stopped.
 *
 * One round: (1) the callbacks of ready descriptors and due timers run, (2) posted tasks run, and the tasks that these
 * post, (3) the loop sleeps. Work that must run once per round (flush a tunnel, close a connection after its last
 * callback) is a task. Tasks that repost each other forever are interrupted by the next round, which does not sleep. */
#pragma once

#include "base/core/cleanup.h"
#include "base/core/clock.h"
#include "base/core/list.h"
#include "base/core/timer_wheel.h"
#include <stdbool.h>
/* libev's macros violate the aliasing rules. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop;

struct loop *loop_new(const struct clock *clock); /* clock: borrowed */
void loop_free(struct loop *loop);                /* watchers must be stopped; undelivered messages are dropped */
DEFINE_CLEANUP(struct loop *, loop_free)
void loop_run(struct loop *loop);                     /* until loop_stop() */
void loop_run_once(struct loop *loop, bool may_wait); /* one round */
void loop_stop(struct loop *loop);                    /* from a callback: after this round */
uint64_t loop_now_ms(const struct loop *loop);        /* monotonic, as of this round */
const struct clock *loop_clock(const struct loop *loop);

/* --- descriptors (level-triggered: read until EAGAIN or clear the interest, else the loop spins) --- */
struct loop_io;
typedef void loop_io_fn(struct loop_io *io, unsigned ready); /* LOOP_READ | LOOP_WRITE */
struct loop_io {
	struct ev_io ev; /* its data: the loop; NULL: never started, or stopped */
	loop_io_fn *on_ready;
};
void loop_io_start(struct loop *loop, struct loop_io *io, int fd, unsigned interest, loop_io_fn *on_ready);
void loop_io_set_interest(struct loop_io *io, unsigned interest); /* 0: none for now; cheap when unchanged */
void loop_io_stop(struct loop_io *io); /* to be called before close(2); allowed when stopped */

/* --- deadlines (milliseconds from now, on the loop's timer wheel) --- */
struct loop_timer;
typedef void loop_timer_fn(struct loop_timer *timer);
struct loop_timer {
	struct timer_entry entry;
	struct loop *loop;
	loop_timer_fn *on_deadline;
};
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
	loop_timer_fn *on_deadline); /* when armed: moves the deadline */
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_armed(const struct loop_timer *timer);

/* --- once, at the end of this round --- */
struct loop_task;
typedef void loop_task_fn(struct loop_task *task);
struct loop_task {
	struct list_link link;
	loop_task_fn *on_run;
};
void loop_task_post(
	struct loop *loop, struct loop_task *task, loop_task_fn *on_run); /* no effect when posted already */
/* In the next round, which does not sleep: for work that is done in slices, between which descriptors have their turn.
 * A timer of 0 ms waits for the wheel's next tick, up to 10 ms. */
void loop_task_post_next(struct loop *loop, struct loop_task *task, loop_task_fn *on_run);
void loop_task_cancel(struct loop_task *task);
bool loop_task_is_posted(const struct loop_task *task);

/* --- from other threads --- */
struct loop_message;
typedef void loop_message_fn(struct loop_message *message);
struct loop_message {              /* embedded in a heap object of the sender; on_deliver takes ownership */
	struct loop_message *next; /* a queue that is only emptied (decision 043) */
	loop_message_fn *on_deliver;
};
void loop_post(struct loop *loop, struct loop_message *message,
	loop_message_fn *on_deliver); /* from any thread; ordered; wakes the loop */

/* --- signals (main loop only) --- */
struct loop_signal;
typedef void loop_signal_fn(struct loop_signal *signal);
struct loop_signal {
	struct ev_signal ev;
	struct loop *loop;
	loop_signal_fn *on_signal;
};
void loop_signal_start(struct loop *loop, struct loop_signal *signal, int signum, loop_signal_fn *on_signal);
void loop_signal_stop(struct loop_signal *signal);
