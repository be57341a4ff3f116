#include "control/serve/waiting_room.h"
#include "base/core/check.h"
#include "base/core/fair_queue.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/shares.h"
#include "base/net/fd.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
	TICK_MS = 50,
	STAY_MS = 50000,      /* shorter than a client waits (base/rpc/h2_link.c) */
	HELLO_SEEN = 2048,    /* bytes of the first flight in which the sign is looked for */
	TURNS_PER_TASK = 64,  /* then other work */
	PASSES_PER_TASK = 32, /* without a turn for any of them; go on at the next poll */
};

/* Each stage is a list in the order in which its connections are due. */
enum stage {
	STAGE_SILENT,    /* has sent nothing */
	STAGE_IMPATIENT, /* has no sign */
	STAGE_NEW,       /* has one, and was not notified yet: most begin before that */
	STAGE_NOTIFIED,
	STAGES_NUM
};
static const uint32_t stage_ms[STAGES_NUM] = {
	[STAGE_SILENT] = 5000, [STAGE_IMPATIENT] = 500, [STAGE_NEW] = 100, [STAGE_NOTIFIED] = 2000};

struct waiting {
	struct list_link link;   /* of its stage */
	struct fair_entry entry; /* from its first byte on */
	struct share share;
	struct loop_io io;
	struct waiting_room *room;
	struct addr from;
	uint64_t since_ms, stage_since_ms;
	enum stage stage;
	int fd;
};

struct waiting_room {
	struct waiting_room_options options;
	struct fair_queue *queue;
	struct shares *places;
	struct list stages[STAGES_NUM];
	unsigned num;
	struct loop_task turns;
	struct loop_timer tick;
};

static void on_tick(struct loop_timer *timer);
static void on_turns(struct loop_task *task);

struct waiting_room *waiting_room_new(const struct waiting_room_options *options)
{
	struct waiting_room *room = mem_new(struct waiting_room);
	room->options = *options;
	room->queue = fair_queue_new(random_u64());
	room->places = shares_new(
		&(struct shares_options){.capacity = options->places, .num_classes = 1, .seed = random_u64()});
	return room;
}

static uint64_t now_ms(const struct waiting_room *room)
{
	return loop_now_ms(room->options.loop);
}

/* It leaves the room; its descriptor stays open. */
static int leave(struct waiting *waiting)
{
	struct waiting_room *room = waiting->room;
	int fd = waiting->fd;
	CHECK(room->num > 0);
	loop_io_stop(&waiting->io);
	list_remove(&waiting->link);
	if (waiting->entry.node != NULL)
		fair_queue_remove(room->queue, &waiting->entry);
	shares_give(&waiting->share);
	room->num--;
	mem_free(waiting);
	return fd;
}

static void turn_away(struct waiting *waiting, enum waiting_end end)
{
	struct waiting_room *room = waiting->room;
	const struct addr from = waiting->from;
	fd_close(leave(waiting));
	room->options.on_end(room->options.arg, end, &from);
}

void waiting_room_clear(struct waiting_room *room)
{
	for (unsigned stage = 0; stage < STAGES_NUM; stage++)
		LIST_EACH_REMOVABLE(&room->stages[stage], struct waiting, waiting, link) {
			fd_close(leave(waiting));
		}
	CHECK(room->num == 0);
}

void waiting_room_free(struct waiting_room *room)
{
	if (room == NULL)
		return;
	waiting_room_clear(room);
	loop_task_cancel(&room->turns);
	loop_timer_stop(&room->tick);
	fair_queue_free(room->queue);
	shares_free(room->places);
	mem_free(room);
}

static void set_stage(struct waiting *waiting, enum stage stage)
{
	struct waiting_room *room = waiting->room;
	if (list_is_linked(&waiting->link))
		list_remove(&waiting->link);
	waiting->stage = stage;
	waiting->stage_since_ms = now_ms(room);
	list_push_back(&room->stages[stage], &waiting->link);
}

/* --- the first byte --- */

static void take_turn(struct waiting *waiting, bool is_patient)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&waiting->from.ip, keys);
	loop_io_stop(&waiting->io);
	fair_queue_push(waiting->room->queue, keys, num_keys, &waiting->entry);
	set_stage(waiting, is_patient ? STAGE_NEW : STAGE_IMPATIENT);
	waiting_room_poll(waiting->room);
}

/* The sign is not parsed out of the hello: who has it elsewhere gains nothing but the wait. The bytes stay where they
 * are for TLS. False: it has sent nothing yet. */
static bool read_hello(struct waiting *waiting)
{
	uint8_t bytes[HELLO_SEEN];
	ssize_t len = recv(waiting->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	if (len > 0)
		take_turn(waiting, memmem(bytes, (size_t)len, WAITING_ROOM_SIGN, strlen(WAITING_ROOM_SIGN)) != NULL);
	else if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	else
		fd_close(leave(waiting)); /* it has gone */
	return true;
}

static void on_readable(struct loop_io *io, _unused_ unsigned ready)
{
	(void)read_hello(container_of(io, struct waiting, io));
}

/* --- places --- */

static bool take_place(
	struct waiting_room *room, const struct share_key *keys, size_t num_keys, uint32_t places, struct share *out)
{
	if (room->num < places && shares_take(room->places, 0, keys, num_keys, 1, out) == SHARE_LIMIT_NONE)
		return true;
	struct share *heavy = shares_eviction_candidate(room->places, 0, keys, num_keys, 1);
	if (heavy == NULL)
		return false;
	turn_away(container_of(heavy, struct waiting, share), WAITING_FULL);
	return shares_take(room->places, 0, keys, num_keys, 1, out) == SHARE_LIMIT_NONE;
}

void waiting_room_enter(struct waiting_room *room, int fd, const struct addr *from, uint32_t places)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&from->ip, keys);
	struct waiting *waiting = mem_new(struct waiting);
	if (!take_place(room, keys, num_keys, places, &waiting->share)) {
		mem_free(waiting);
		fd_close(fd);
		room->options.on_end(room->options.arg, WAITING_FULL, from);
		return;
	}
	waiting->room = room;
	waiting->fd = fd;
	waiting->from = *from;
	waiting->since_ms = now_ms(room);
	room->num++;
	set_stage(waiting, STAGE_SILENT);
	if (!read_hello(waiting))
		loop_io_start(room->options.loop, &waiting->io, fd, LOOP_READ, on_readable);
	if (!loop_timer_is_armed(&room->tick))
		loop_timer_start(room->options.loop, &room->tick, TICK_MS, on_tick);
}

unsigned waiting_room_num(const struct waiting_room *room)
{
	return room->num;
}

/* --- turns --- */

/* Its client has given up, and its handshake would be in vain. */
static bool has_gone(const struct waiting *waiting)
{
	struct pollfd poll_ = {.fd = waiting->fd, .events = POLLRDHUP};
	return poll(&poll_, 1, 0) > 0;
}

static void on_turns(struct loop_task *task)
{
	struct waiting_room *room = container_of(task, struct waiting_room, turns);
	unsigned num_passed = 0;
	for (unsigned i = 0; i < TURNS_PER_TASK; i++) {
		struct fair_entry *entry = fair_queue_next(room->queue);
		if (entry == NULL)
			return;
		struct waiting *waiting = container_of(entry, struct waiting, entry);
		const struct addr from = waiting->from;
		bool is_patient = waiting->stage != STAGE_IMPATIENT;
		if (has_gone(waiting)) {
			fd_close(leave(waiting));
			continue;
		}
		enum waiting_answer answer = room->options.may_begin(room->options.arg, &from, is_patient);
		if (answer == WAITING_ON && is_patient)
			return;
		if (answer == WAITING_BEGIN)
			room->options.on_turn(room->options.arg, leave(waiting), &from);
		else if (answer == WAITING_PASS && num_passed++ < PASSES_PER_TASK)
			fair_queue_pass(room->queue, entry);
		else if (answer == WAITING_PASS ||
			 room->options.may_begin(room->options.arg, &from, true) == WAITING_ON)
			return;
		else
			turn_away(waiting, WAITING_LATE); /* it must not delay those behind it, which may begin */
	}
	loop_task_post_next(room->options.loop, &room->turns, on_turns);
}

void waiting_room_poll(struct waiting_room *room)
{
	if (fair_queue_len(room->queue) > 0)
		loop_task_post(room->options.loop, &room->turns, on_turns);
}

/* --- time --- */

static void notify(struct waiting *waiting)
{
	static const uint8_t change_cipher_spec[] = {20, 3, 3, 0, 1, 1};
	struct waiting_room *room = waiting->room;
	if (now_ms(room) - waiting->since_ms >= STAY_MS) {
		turn_away(waiting, WAITING_LATE);
		return;
	}
	ssize_t sent = send(waiting->fd, change_cipher_spec, sizeof change_cipher_spec, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent == (ssize_t)sizeof change_cipher_spec)
		set_stage(waiting, STAGE_NOTIFIED);
	else
		fd_close(leave(waiting)); /* it has gone, or reads nothing */
}

static void on_due(struct waiting *waiting)
{
	switch (waiting->stage) {
	case STAGE_SILENT:
		turn_away(waiting, WAITING_SILENT);
		return;
	case STAGE_IMPATIENT:
		turn_away(waiting, WAITING_LATE);
		return;
	case STAGE_NEW:
	case STAGE_NOTIFIED:
		notify(waiting);
		return;
	case STAGES_NUM:
		break;
	}
	CHECK_UNREACHABLE();
}

static void on_tick(struct loop_timer *timer)
{
	struct waiting_room *room = container_of(timer, struct waiting_room, tick);
	for (unsigned stage = 0; stage < STAGES_NUM; stage++) {
		struct waiting *first;
		while ((first = LIST_FIRST(&room->stages[stage], struct waiting, link)) != NULL &&
			now_ms(room) - first->stage_since_ms >= stage_ms[stage])
			on_due(first);
	}
	waiting_room_poll(room);
	if (room->num > 0)
		loop_timer_start(room->options.loop, timer, TICK_MS, on_tick);
}
