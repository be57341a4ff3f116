#include "base/core/loop.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <pthread.h>

/* Tasks that repost each other forever must not starve descriptors and timers. */
enum { MAX_TASKS_A_ROUND = 65536 };

struct loop {
	struct ev_loop *ev;
	const struct clock *clock;
	uint64_t now_ms;
	struct ev_check after_sleep;
	struct timer_wheel *wheel;
	struct ev_timer wake; /* wakes the loop for the timer wheel */
	uint64_t wake_at_ms;  /* 0: not armed */
	struct list tasks, next_tasks;
	bool is_stopped;
	bool is_running; /* within a round, on the thread `runner` */
	pthread_t runner;
	struct ev_async has_messages;
	pthread_mutex_t queue_lock;
	struct loop_message *message, **queue_tail;
};

_Static_assert((int)LOOP_READ == (int)EV_READ && (int)LOOP_WRITE == (int)EV_WRITE, "the flags equal those of libev");

/* During a round the loop belongs to its thread: others may only post messages to it. */
static void check_thread(const struct loop *loop)
{
	CHECK(!loop->is_running || pthread_equal(loop->runner, pthread_self()));
}

static void refresh_now(struct loop *loop)
{
	loop->now_ms = loop->clock->mono_ms(loop->clock);
}

/* Runs before the callbacks of ready descriptors. */
static void on_after_sleep(_unused_ struct ev_loop *ev, struct ev_check *check, _unused_ int revents)
{
	refresh_now(container_of(check, struct loop, after_sleep));
}

static void on_wake(_unused_ struct ev_loop *ev, struct ev_timer *timer, _unused_ int revents)
{
	container_of(timer, struct loop, wake)->wake_at_ms = 0;
}

/* --- messages --- */

static void on_has_messages(_unused_ struct ev_loop *ev, struct ev_async *async, _unused_ int revents)
{
	struct loop *loop = container_of(async, struct loop, has_messages);
	CHECK(pthread_mutex_lock(&loop->queue_lock) == 0);
	struct loop_message *message = TAKE_PTR(loop->message);
	loop->queue_tail = &loop->message;
	CHECK(pthread_mutex_unlock(&loop->queue_lock) == 0);
	while (message != NULL) {
		struct loop_message *next = message->next; /* on_deliver may free it */
		message->next = NULL;
		message->on_deliver(message);
		message = next;
	}
}

void loop_post(struct loop *loop, struct loop_message *message, loop_message_fn *on_deliver)
{
	CHECK(on_deliver != NULL);
	message->next = NULL;
	message->on_deliver = on_deliver;
	CHECK(pthread_mutex_lock(&loop->queue_lock) == 0);
	bool is_first = loop->message == NULL;
	*loop->queue_tail = message;
	loop->queue_tail = &message->next;
	CHECK(pthread_mutex_unlock(&loop->queue_lock) == 0);
	if (is_first) /* else a wake-up is pending */
		ev_async_send(loop->ev, &loop->has_messages);
}

/* --- the loop --- */

struct loop *loop_new(const struct clock *clock)
{
	struct loop *loop = mem_new(struct loop);
	loop->clock = clock;
	refresh_now(loop);
	loop->wheel = timer_wheel_new(loop->now_ms);
	loop->queue_tail = &loop->message;
	CHECK(pthread_mutex_init(&loop->queue_lock, NULL) == 0);
	loop->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	CHECK(loop->ev != NULL); /* fails only at the start, without free descriptors: the program cannot run */
	ev_init(&loop->wake, on_wake);
	ev_check_init(&loop->after_sleep, on_after_sleep);
	ev_set_priority(&loop->after_sleep, EV_MAXPRI);
	ev_check_start(loop->ev, &loop->after_sleep);
	ev_async_init(&loop->has_messages, on_has_messages);
	ev_async_start(loop->ev, &loop->has_messages);
	return loop;
}

static void take_next_tasks(struct loop *loop)
{
	for (struct loop_task *task; (task = LIST_FIRST(&loop->next_tasks, struct loop_task, link)) != NULL;) {
		list_remove(&task->link);
		list_push_back(&loop->tasks, &task->link);
	}
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	CHECK(!loop->is_running);
	take_next_tasks(loop);
	LIST_EACH_REMOVABLE(&loop->tasks, struct loop_task, task, link)
		loop_task_cancel(task);
	timer_wheel_free(loop->wheel);
	ev_timer_stop(loop->ev, &loop->wake);
	ev_check_stop(loop->ev, &loop->after_sleep);
	ev_async_stop(loop->ev, &loop->has_messages);
	ev_loop_destroy(loop->ev);
	CHECK(pthread_mutex_destroy(&loop->queue_lock) == 0);
	mem_free(loop);
}

static void run_tasks(struct loop *loop)
{
	for (unsigned i = 0; i < MAX_TASKS_A_ROUND && !list_is_empty(&loop->tasks); i++) {
		struct loop_task *task = LIST_FIRST(&loop->tasks, struct loop_task, link);
		loop_task_cancel(task);
		task->on_run(task);
	}
}

/* Arms the wake-up for the next deadline of the wheel; returns whether the loop may sleep. An armed earlier wake-up
 * stays: deadlines move often, and one idle round costs less than moving the wake-up each time. */
static bool set_wake(struct loop *loop)
{
	uint64_t delay_ms = timer_wheel_next_ms(loop->wheel, loop->now_ms);
	if (delay_ms == 0)
		return false;
	if (delay_ms == UINT64_MAX)
		return true;
	uint64_t at_ms = loop->now_ms + delay_ms;
	if (loop->wake_at_ms != 0 && loop->wake_at_ms <= at_ms)
		return true;
	ev_timer_stop(loop->ev, &loop->wake);
	ev_now_update(loop->ev); /* libev's delays count from the start of its round */
	ev_timer_set(&loop->wake, (double)delay_ms / 1000.0, 0.0);
	ev_timer_start(loop->ev, &loop->wake);
	loop->wake_at_ms = at_ms;
	return true;
}

void loop_run_once(struct loop *loop, bool may_wait)
{
	CHECK(!loop->is_running); /* not reentrant */
	loop->is_running = true;
	loop->runner = pthread_self();
	refresh_now(loop);
	take_next_tasks(loop);
	run_tasks(loop); /* those posted since the last round */
	bool has_time =
		set_wake(loop) && list_is_empty(&loop->tasks) && list_is_empty(&loop->next_tasks) && !loop->is_stopped;
	ev_run(loop->ev, may_wait && has_time ? EVRUN_ONCE : EVRUN_NOWAIT);
	timer_wheel_advance(loop->wheel, loop->now_ms);
	run_tasks(loop);
	loop->is_running = false;
}

void loop_run(struct loop *loop)
{
	while (!loop->is_stopped)
		loop_run_once(loop, true);
	loop->is_stopped = false;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

const struct clock *loop_clock(const struct loop *loop)
{
	return loop->clock;
}

/* --- descriptors --- */

static void on_io(_unused_ struct ev_loop *ev, struct ev_io *watcher, int revents)
{
	struct loop_io *io = container_of(watcher, struct loop_io, ev);
	io->on_ready(io, (unsigned)revents & (LOOP_READ | LOOP_WRITE)); /* EV_ERROR sets both */
}

static struct loop *loop_of(const struct loop_io *io)
{
	return io->ev.data;
}

void loop_io_start(struct loop *loop, struct loop_io *io, int fd, unsigned interest, loop_io_fn *on_ready)
{
	CHECK(fd >= 0 && on_ready != NULL && !ev_is_active(&io->ev));
	check_thread(loop);
	io->ev.data = loop;
	io->on_ready = on_ready;
	ev_io_init(&io->ev, on_io, fd, 0);
	loop_io_set_interest(io, interest);
}

void loop_io_set_interest(struct loop_io *io, unsigned interest)
{
	unsigned watched = ev_is_active(&io->ev) ? (unsigned)io->ev.events & (LOOP_READ | LOOP_WRITE) : 0;
	if (interest == watched)
		return;
	CHECK(loop_of(io) != NULL && (interest & ~(unsigned)(LOOP_READ | LOOP_WRITE)) == 0);
	check_thread(loop_of(io));
	ev_io_stop(loop_of(io)->ev, &io->ev);
	ev_io_modify(&io->ev, (int)interest);
	if (interest != 0)
		ev_io_start(loop_of(io)->ev, &io->ev);
}

void loop_io_stop(struct loop_io *io)
{
	if (loop_of(io) == NULL)
		return;
	check_thread(loop_of(io));
	ev_io_stop(loop_of(io)->ev, &io->ev);
	io->ev.data = NULL;
}

/* --- deadlines --- */

static void on_entry(struct timer_entry *entry)
{
	struct loop_timer *timer = container_of(entry, struct loop_timer, entry);
	timer->on_deadline(timer);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms, loop_timer_fn *on_deadline)
{
	/* Armed on another loop, it would stay linked into that one's wheel. */
	CHECK(on_deadline != NULL && (!loop_timer_is_armed(timer) || timer->loop == loop));
	check_thread(loop);
	timer->loop = loop;
	timer->on_deadline = on_deadline;
	uint64_t deadline_ms = delay_ms > UINT64_MAX - loop->now_ms ? UINT64_MAX : loop->now_ms + delay_ms;
	timer_wheel_arm(loop->wheel, &timer->entry, deadline_ms, on_entry);
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (loop_timer_is_armed(timer))
		timer_wheel_disarm(timer->loop->wheel, &timer->entry);
}

bool loop_timer_is_armed(const struct loop_timer *timer)
{
	return timer_entry_is_armed(&timer->entry);
}

/* --- tasks --- */

void loop_task_post(struct loop *loop, struct loop_task *task, loop_task_fn *on_run)
{
	CHECK(on_run != NULL);
	check_thread(loop);
	if (loop_task_is_posted(task))
		return;
	task->on_run = on_run;
	list_push_back(&loop->tasks, &task->link);
}

void loop_task_post_next(struct loop *loop, struct loop_task *task, loop_task_fn *on_run)
{
	CHECK(on_run != NULL);
	check_thread(loop);
	if (loop_task_is_posted(task))
		return;
	task->on_run = on_run;
	list_push_back(&loop->next_tasks, &task->link);
}

void loop_task_cancel(struct loop_task *task)
{
	if (!loop_task_is_posted(task))
		return;
	list_remove(&task->link);
}

bool loop_task_is_posted(const struct loop_task *task)
{
	return list_is_linked(&task->link);
}

/* --- signals --- */

static void on_ev_signal(_unused_ struct ev_loop *ev, struct ev_signal *watcher, _unused_ int revents)
{
	struct loop_signal *signal = container_of(watcher, struct loop_signal, ev);
	signal->on_signal(signal);
}

void loop_signal_start(struct loop *loop, struct loop_signal *signal, int signum, loop_signal_fn *on_signal)
{
	CHECK(on_signal != NULL && !ev_is_active(&signal->ev));
	check_thread(loop);
	signal->loop = loop;
	signal->on_signal = on_signal;
	ev_signal_init(&signal->ev, on_ev_signal, signum);
	ev_signal_start(loop->ev, &signal->ev);
}

void loop_signal_stop(struct loop_signal *signal)
{
	if (signal->loop == NULL)
		return;
	ev_signal_stop(signal->loop->ev, &signal->ev);
	signal->loop = NULL;
}
