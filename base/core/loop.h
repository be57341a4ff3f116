/* The event loop, and the only door to libev. One loop a thread; everything here but loop_post() belongs to that
 * thread. Watchers are embedded in what they watch; a zeroed one is stopped.
 *
 * One round: (1) every ready descriptor and timer is called, (2) every posted task runs, and those that they post, (3)
 * the loop sleeps. So what must happen once a round (flush a tunnel, close a connection after the callback that ended
 * it) is a task. Tasks that post each other without end are cut off by the next round, which then does not sleep. */
#pragma once

#include "base/core/cleanup.h"
#include "base/core/clock.h"
#include "base/core/timer_wheel.h"
#include <stdbool.h>
/* libev's own macros break the aliasing rules and say so. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop;

struct loop *loop_new(const struct clock *clock); /* clock: borrowed, outlives the loop */
void loop_free(struct loop *loop); /* everything stopped before; message that was not delivered is dropped */
DEFINE_CLEANUP(struct loop *, loop_free)
void loop_run(struct loop *loop);                     /* until loop_stop() */
void loop_run_once(struct loop *loop, bool may_wait); /* one round */
void loop_stop(struct loop *loop);                    /* from a callback: after this round */
uint64_t loop_now_ms(const struct loop *loop);        /* monotonic, as of this round */
const struct clock *loop_clock(const struct loop *loop);

/* --- descriptors (level-triggered: read until EAGAIN or stop watching, else it spins) --- */
struct loop_io;
typedef void loop_io_fn(struct loop_io *io, unsigned ready); /* LOOP_READ | LOOP_WRITE */
struct loop_io {
	struct ev_io ev;
	struct loop *loop; /* NULL: never started */
	loop_io_fn *on_ready;
};
void loop_io_start(struct loop *loop, struct loop_io *io, int fd, unsigned interest, loop_io_fn *on_ready);
void loop_io_want(struct loop_io *io, unsigned interest); /* 0: watches nothing for now; cheap when unchanged */
void loop_io_stop(struct loop_io *io);                    /* before the descriptor is closed; allowed when stopped */

/* --- deadlines (milliseconds from now, on the loop's timer wheel) --- */
struct loop_timer;
typedef void loop_timer_fn(struct loop_timer *timer);
struct loop_timer {
	struct timer_entry entry;
	struct loop *loop;
	loop_timer_fn *on_deadline;
};
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
	loop_timer_fn *on_deadline); /* again: moves it */
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_armed(const struct loop_timer *timer);

/* --- once, at the end of this round --- */
struct loop_task;
typedef void loop_task_fn(struct loop_task *task);
struct loop_task {
	struct loop_task *next, **prev;
	loop_task_fn *on_run;
};
void loop_task_post(
	struct loop *loop, struct loop_task *task, loop_task_fn *on_run); /* posted already: nothing happens */
void loop_task_cancel(struct loop_task *task);
bool loop_task_is_posted(const struct loop_task *task);

/* --- from other threads --- */
struct loop_message;
typedef void loop_message_fn(struct loop_message *message);
struct loop_message { /* embedded in the sender's heap object; on_deliver owns it */
	struct loop_message *next;
	loop_message_fn *on_deliver;
};
void loop_post(struct loop *loop, struct loop_message *message,
	loop_message_fn *on_deliver); /* any thread; in order; wakes the loop */

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
