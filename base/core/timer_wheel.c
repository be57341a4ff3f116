/* A hierarchical wheel over ticks of 10 ms. A tick number has eleven digits of base 64, which covers 64 bits, so
 * no deadline is out of range. The level of an entry is the highest digit in which its tick differs from the current
 * tick, its slot is that digit's value. So lower levels are due before higher ones, and within a level lower slots
 * before higher ones. Opening a slot above level 0 distributes its entries over the levels below. */
#include "base/core/timer_wheel.h"
#include "base/core/check.h"
#include "base/core/mem.h"

enum { TICK_MS = 10, DIGIT_BITS = 6, SLOTS = 64, LEVELS = 11 };

struct timer_wheel {
	uint64_t tick; /* the last completed tick: its entries have fired */
	uint64_t occupied[LEVELS];
	struct timer_entry *due;    /* past deadlines: fire with the next advance */
	struct timer_entry *firing; /* removed, to be called */
	struct timer_entry
		*slots[LEVELS][SLOTS]; /* no struct list: the first entry's prev is its slot (decision 043) */
};

struct timer_wheel *timer_wheel_new(uint64_t now_ms)
{
	struct timer_wheel *wheel = mem_new(struct timer_wheel);
	wheel->tick = now_ms / TICK_MS;
	return wheel;
}

static void link_entry(struct timer_entry **list, struct timer_entry *entry)
{
	CHECK(entry->prev == NULL); /* in no list, and so in one from here on */
	entry->next = *list;
	entry->prev = list;
	if (*list != NULL)
		(*list)->prev = &entry->next;
	*list = entry;
}

static void unlink_entry(struct timer_entry *entry)
{
	CHECK(entry->prev != NULL);
	*entry->prev = entry->next;
	if (entry->next != NULL)
		entry->next->prev = entry->prev;
	entry->next = NULL;
	entry->prev = NULL;
}

static void disarm_all(struct timer_entry **list)
{
	while (*list != NULL)
		unlink_entry(*list);
}

void timer_wheel_free(struct timer_wheel *wheel)
{
	if (wheel == NULL)
		return;
	disarm_all(&wheel->due);
	disarm_all(&wheel->firing);
	for (unsigned level = 0; level < LEVELS; level++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			disarm_all(&wheel->slots[level][slot]);
	mem_free(wheel);
}

static uint64_t tick_of(uint64_t deadline_ms)
{
	return deadline_ms / TICK_MS + (deadline_ms % TICK_MS != 0); /* rounded up: never early */
}

static void place(struct timer_wheel *wheel, struct timer_entry *entry)
{
	uint64_t tick = tick_of(entry->deadline_ms);
	if (tick <= wheel->tick) {
		link_entry(&wheel->due, entry);
		return;
	}
	unsigned level = (63 - (unsigned)__builtin_clzll(tick ^ wheel->tick)) / DIGIT_BITS;
	CHECK(level < LEVELS);
	unsigned slot = (unsigned)(tick >> (level * DIGIT_BITS)) % SLOTS;
	link_entry(&wheel->slots[level][slot], entry);
	wheel->occupied[level] |= UINT64_C(1) << slot;
}

void timer_wheel_arm(
	struct timer_wheel *wheel, struct timer_entry *entry, uint64_t deadline_ms, timer_entry_fn *on_deadline)
{
	CHECK(on_deadline != NULL);
	timer_wheel_disarm(wheel, entry);
	entry->deadline_ms = deadline_ms;
	entry->on_deadline = on_deadline;
	place(wheel, entry);
}

/* Keeps `occupied` exact: an idle wheel causes no wake-ups. */
static void mark_if_empty(struct timer_wheel *wheel, struct timer_entry **list)
{
	uintptr_t offset = (uintptr_t)list - (uintptr_t)&wheel->slots[0][0];
	if (*list != NULL || offset >= sizeof wheel->slots)
		return;
	uintptr_t index = offset / sizeof wheel->slots[0][0];
	wheel->occupied[index / SLOTS] &= ~(UINT64_C(1) << (index % SLOTS));
}

void timer_wheel_disarm(struct timer_wheel *wheel, struct timer_entry *entry)
{
	if (entry->prev == NULL)
		return;
	struct timer_entry **list = entry->prev;
	unlink_entry(entry);
	mark_if_empty(wheel, list);
}

bool timer_entry_is_armed(const struct timer_entry *entry)
{
	return entry->prev != NULL;
}

/* The tick at which the next slot must be opened, and its level; false when all slots are empty. */
static bool next_tick(const struct timer_wheel *wheel, uint64_t *out_tick, unsigned *out_level)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		if (wheel->occupied[level] == 0)
			continue;
		unsigned shift = level * DIGIT_BITS;
		uint64_t slot = (uint64_t)__builtin_ctzll(wheel->occupied[level]);
		uint64_t higher =
			shift + DIGIT_BITS >= 64 ? 0 : wheel->tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
		*out_tick = higher | slot << shift;
		*out_level = level;
		return true;
	}
	return false;
}

/* Opens one slot: advances the wheel to `tick`; the slot's entries become due or move to lower levels. */
static void open_slot(struct timer_wheel *wheel, uint64_t tick, unsigned level)
{
	unsigned slot = (unsigned)(tick >> (level * DIGIT_BITS)) % SLOTS;
	struct timer_entry **list = &wheel->slots[level][slot];
	CHECK(tick > wheel->tick && level < LEVELS); /* time moves forward */
	wheel->tick = tick;
	wheel->occupied[level] &= ~(UINT64_C(1) << slot);
	while (*list != NULL) {
		struct timer_entry *entry = *list;
		unlink_entry(entry);
		place(wheel, entry);
	}
}

/* Appends wheel->due, in any order, to wheel->firing. Returns the new end. */
static struct timer_entry **move_due(struct timer_wheel *wheel, struct timer_entry **tail)
{
	while (wheel->due != NULL) {
		struct timer_entry *entry = wheel->due;
		unlink_entry(entry);
		link_entry(tail, entry);
		tail = &entry->next;
	}
	return tail;
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms)
{
	CHECK(wheel->firing == NULL); /* not reentrant */
	uint64_t target = now_ms / TICK_MS, tick;
	unsigned level;
	struct timer_entry **tail = move_due(wheel, &wheel->firing);
	while (next_tick(wheel, &tick, &level) && tick <= target) {
		open_slot(wheel, tick, level);
		tail = move_due(wheel, tail);
	}
	if (target > wheel->tick)
		wheel->tick = target;
	/* The due entries were removed first: entries that a callback arms wait for the next advance, so this ends. */
	while (wheel->firing != NULL) {
		struct timer_entry *entry = wheel->firing;
		unlink_entry(entry);
		entry->on_deadline(entry);
	}
}

uint64_t timer_wheel_next_ms(const struct timer_wheel *wheel, uint64_t now_ms)
{
	uint64_t tick;
	unsigned level;
	if (wheel->due != NULL)
		return 0;
	if (!next_tick(wheel, &tick, &level))
		return UINT64_MAX;
	if (tick > UINT64_MAX / TICK_MS)
		return UINT64_MAX - now_ms;
	uint64_t at_ms = tick * TICK_MS;
	return at_ms > now_ms ? at_ms - now_ms : 0;
}
