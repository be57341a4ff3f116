/* A timer wheel: arming, moving and disarming a deadline are O(1). Pure: time is an argument. Resolution 10 ms; a
 * deadline never fires early and at most one tick late. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct timer_wheel;
struct timer_entry;
typedef void timer_entry_fn(struct timer_entry *entry);

struct timer_entry { /* embedded in the caller's struct; zeroed is disarmed */
	struct timer_entry *next, **prev;
	uint64_t deadline_ms;
	timer_entry_fn *on_deadline;
};

struct timer_wheel *timer_wheel_new(uint64_t now_ms);
void timer_wheel_free(struct timer_wheel *wheel); /* disarms all entries without callbacks */
void timer_wheel_arm(
	struct timer_wheel *wheel, struct timer_entry *entry, uint64_t deadline_ms, timer_entry_fn *on_deadline);
void timer_wheel_disarm(struct timer_wheel *wheel, struct timer_entry *entry); /* allowed when disarmed */
bool timer_entry_is_armed(const struct timer_entry *entry);
/* Fires the due entries. A callback may arm and disarm any entry, its own included. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms);
/* Milliseconds until an entry can be due: a lower bound; UINT64_MAX when none is armed. */
uint64_t timer_wheel_next_ms(const struct timer_wheel *wheel, uint64_t now_ms);
