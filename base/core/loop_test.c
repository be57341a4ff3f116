#include "base/core/clock.h"
#include "base/core/loop.h"
#include "base/core/mem.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

struct scene {
	struct clock_fake clock;
	struct loop *loop;
	int fds[2]; /* a pair of connected sockets */
	struct loop_io io;
	struct loop_timer timer;
	struct loop_task task, second_task;
	struct loop_signal signal;
	unsigned ready, num_ready, num_timers, num_tasks, num_posted, num_signals;
	char order[16]; /* one letter per event */
};

static void note(struct scene *scene, char what)
{
	size_t len = strlen(scene->order);
	if (len + 1 < sizeof scene->order)
		scene->order[len] = what;
}

static int set_up(void **state)
{
	struct scene *scene = test_calloc(1, sizeof *scene);
	clock_fake_init(&scene->clock, 0);
	scene->loop = loop_new(&scene->clock.clock);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, scene->fds), 0);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	loop_io_stop(&scene->io);
	loop_timer_stop(&scene->timer);
	loop_signal_stop(&scene->signal);
	loop_free(scene->loop);
	close(scene->fds[0]);
	close(scene->fds[1]);
	test_free(scene);
	return 0;
}

static void on_task(struct loop_task *task)
{
	struct scene *scene = container_of(task, struct scene, task);
	scene->num_tasks++;
	note(scene, 't');
}

static void on_second_task(struct loop_task *task)
{
	struct scene *scene = container_of(task, struct scene, second_task);
	note(scene, 's');
	loop_task_post(scene->loop, &scene->task, on_task);
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct scene *scene = container_of(io, struct scene, io);
	scene->ready = ready;
	scene->num_ready++;
	note(scene, 'i');
	loop_task_post(scene->loop, &scene->second_task, on_second_task);
}

static void on_deadline(struct loop_timer *timer)
{
	struct scene *scene = container_of(timer, struct scene, timer);
	scene->num_timers++;
	note(scene, 'd');
}

static void send_byte(struct scene *scene)
{
	assert_int_equal(write(scene->fds[1], "x", 1), 1);
}

static void runs_ready_descriptors_then_timers_then_tasks_and_the_tasks_they_post(void **state)
{
	struct scene *scene = *state;
	loop_io_start(scene->loop, &scene->io, scene->fds[0], LOOP_READ, on_ready);
	loop_timer_start(scene->loop, &scene->timer, 10, on_deadline);
	send_byte(scene);
	clock_fake_advance(&scene->clock, 20);
	loop_run_once(scene->loop, true);
	assert_string_equal(scene->order, "idst");
}

static void calls_again_while_bytes_are_unread(void **state)
{
	struct scene *scene = *state;
	loop_io_start(scene->loop, &scene->io, scene->fds[0], LOOP_READ, on_ready);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_ready, 0);
	send_byte(scene);
	loop_run_once(scene->loop, false);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_ready, 2);
	assert_int_equal(scene->ready, LOOP_READ);
}

static void watches_only_the_events_of_interest(void **state)
{
	struct scene *scene = *state;
	send_byte(scene);
	loop_io_start(scene->loop, &scene->io, scene->fds[0], 0, on_ready);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_ready, 0);
	loop_io_set_interest(&scene->io, LOOP_READ | LOOP_WRITE);
	loop_io_set_interest(&scene->io, LOOP_READ | LOOP_WRITE);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->ready, LOOP_READ | LOOP_WRITE);
	loop_io_set_interest(&scene->io, LOOP_WRITE);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->ready, LOOP_WRITE);
	loop_io_set_interest(&scene->io, 0);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_ready, 2);
	loop_io_stop(&scene->io);
	loop_io_stop(&scene->io);
	loop_io_start(scene->loop, &scene->io, scene->fds[0], LOOP_READ, on_ready);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_ready, 3);
}

static void fires_a_deadline_by_the_injected_clock_only(void **state)
{
	struct scene *scene = *state;
	loop_timer_start(scene->loop, &scene->timer, 1000, on_deadline);
	clock_fake_advance(&scene->clock, 990);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_timers, 0);
	clock_fake_advance(&scene->clock, 10);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_timers, 1);
	assert_false(loop_timer_is_armed(&scene->timer));
	assert_true(loop_now_ms(scene->loop) == scene->clock.mono_ms);
}

static void moves_and_stops_a_deadline(void **state)
{
	struct scene *scene = *state;
	loop_timer_stop(&scene->timer);
	loop_timer_start(scene->loop, &scene->timer, 100, on_deadline);
	loop_timer_start(scene->loop, &scene->timer, 500, on_deadline);
	clock_fake_advance(&scene->clock, 300);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_timers, 0);
	loop_timer_stop(&scene->timer);
	clock_fake_advance(&scene->clock, 300);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_timers, 0);
	loop_timer_start(scene->loop, &scene->timer, UINT64_MAX, on_deadline);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_timers, 0);
}

static void wakes_up_by_itself_for_a_deadline(_unused_ void **state)
{
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	struct scene scene = {.loop = loop};
	loop_timer_start(loop, &scene.timer, 30, on_deadline);
	uint64_t start = clock_system.mono_ms(&clock_system);
	unsigned rounds = 0;
	for (; scene.num_timers == 0; rounds++)
		loop_run_once(loop, true);
	assert_true(clock_system.mono_ms(&clock_system) - start >= 30);
	assert_true(rounds <= 8); /* it slept and did not spin */
}

static void runs_a_task_once_per_round_and_never_when_canceled(void **state)
{
	struct scene *scene = *state;
	loop_task_post(scene->loop, &scene->task, on_task);
	loop_task_post(scene->loop, &scene->task, on_task);
	assert_true(loop_task_is_posted(&scene->task));
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_tasks, 1);
	loop_task_post(scene->loop, &scene->second_task, on_second_task);
	loop_task_post(scene->loop, &scene->task, on_task);
	loop_task_cancel(&scene->second_task);
	loop_task_cancel(&scene->second_task);
	loop_run_once(scene->loop, false);
	assert_int_equal(scene->num_tasks, 2);
	assert_string_equal(scene->order, "tt");
}

struct endless {
	struct loop_task task;
	struct loop *loop;
};

static void on_endless(struct loop_task *task)
{
	struct endless *endless = container_of(task, struct endless, task);
	loop_task_post(endless->loop, task, on_endless);
}

static void serves_descriptors_while_a_task_reposts_itself_forever(void **state)
{
	struct scene *scene = *state;
	struct endless endless = {.loop = scene->loop};
	loop_io_start(scene->loop, &scene->io, scene->fds[0], LOOP_READ, on_ready);
	send_byte(scene);
	loop_task_post(scene->loop, &endless.task, on_endless);
	loop_run_once(scene->loop, true);
	assert_int_equal(scene->num_ready, 1);
	loop_task_cancel(&endless.task);
}

static unsigned num_slices;

static void on_slice(struct loop_task *task)
{
	struct endless *slices = container_of(task, struct endless, task);
	num_slices++;
	loop_task_post_next(slices->loop, task, on_slice);
}

static void a_task_for_the_next_round_runs_once_in_each_and_they_do_not_sleep(void **state)
{
	struct scene *scene = *state;
	struct endless slices = {.loop = scene->loop};
	num_slices = 0;
	loop_task_post_next(scene->loop, &slices.task, on_slice);
	for (unsigned i = 1; i <= 5; i++) {
		loop_run_once(scene->loop, true);
		assert_int_equal(num_slices, i);
	}
	loop_task_cancel(&slices.task);
	assert_false(loop_task_is_posted(&slices.task));
}

struct letter {
	struct loop_message message;
	struct scene *scene;
	unsigned number;
};

enum { NUM_LETTERS = 1000 };

static void on_deliver(struct loop_message *message)
{
	struct letter *letter = container_of(message, struct letter, message);
	assert_int_equal(letter->number, letter->scene->num_posted++);
	if (letter->scene->num_posted == NUM_LETTERS)
		loop_stop(letter->scene->loop);
	mem_free(letter);
}

static void *send_letters(void *arg)
{
	struct scene *scene = arg;
	for (unsigned i = 0; i < NUM_LETTERS; i++) {
		struct letter *letter = mem_new(struct letter);
		*letter = (struct letter){.scene = scene, .number = i};
		loop_post(scene->loop, &letter->message, on_deliver);
	}
	return NULL;
}

static void delivers_messages_of_another_thread_in_order_and_wakes_up(void **state)
{
	struct scene *scene = *state;
	pthread_t sender;
	assert_int_equal(pthread_create(&sender, NULL, send_letters, scene), 0);
	loop_run(scene->loop);
	assert_int_equal(pthread_join(sender, NULL), 0);
	assert_int_equal(scene->num_posted, NUM_LETTERS);
}

static void on_signal(struct loop_signal *signal)
{
	struct scene *scene = container_of(signal, struct scene, signal);
	scene->num_signals++;
	loop_task_post(scene->loop, &scene->task, on_task);
	loop_stop(scene->loop);
}

static void ends_after_the_round_in_which_it_was_stopped(void **state)
{
	struct scene *scene = *state;
	loop_signal_start(scene->loop, &scene->signal, SIGUSR1, on_signal);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(scene->loop);
	assert_int_equal(scene->num_signals, 1);
	assert_int_equal(scene->num_tasks, 1);
	loop_stop(scene->loop); /* before it runs: it does not sleep */
	loop_run(scene->loop);
	loop_signal_stop(&scene->signal);
	loop_signal_stop(&scene->signal);
}

static void cancels_posted_tasks_and_timers_when_freed(_unused_ void **state)
{
	struct clock_fake clock;
	clock_fake_init(&clock, 0);
	struct scene scene = {.loop = loop_new(&clock.clock)};
	assert_ptr_equal(loop_clock(scene.loop), &clock.clock);
	loop_task_post(scene.loop, &scene.task, on_task);
	loop_timer_start(scene.loop, &scene.timer, 10, on_deadline);
	loop_free(scene.loop);
	assert_false(loop_task_is_posted(&scene.task));
	assert_false(loop_timer_is_armed(&scene.timer));
	loop_task_cancel(&scene.task);
	loop_timer_stop(&scene.timer);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCENE(runs_ready_descriptors_then_timers_then_tasks_and_the_tasks_they_post),
		WITH_SCENE(calls_again_while_bytes_are_unread),
		WITH_SCENE(watches_only_the_events_of_interest),
		WITH_SCENE(fires_a_deadline_by_the_injected_clock_only),
		WITH_SCENE(moves_and_stops_a_deadline),
		cmocka_unit_test(wakes_up_by_itself_for_a_deadline),
		WITH_SCENE(runs_a_task_once_per_round_and_never_when_canceled),
		WITH_SCENE(serves_descriptors_while_a_task_reposts_itself_forever),
		WITH_SCENE(a_task_for_the_next_round_runs_once_in_each_and_they_do_not_sleep),
		WITH_SCENE(delivers_messages_of_another_thread_in_order_and_wakes_up),
		WITH_SCENE(ends_after_the_round_in_which_it_was_stopped),
		cmocka_unit_test(cancels_posted_tasks_and_timers_when_freed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
