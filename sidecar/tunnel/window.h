/* Flow-control credit of a stream's sender. Each stream starts with 32 KiB, one that we opened with more while much of
 * the limit is left (decision 026); one whose sender fills its window within about two round trips, while the app
 * keeps up, gets twice as much, and so on. What is granted cannot be taken back (only, by a sender that goes on, be
 * used up without being granted again), so every byte above the start is charged to a limit of the whole process until
 * the stream is closed. Nothing takes more at once than a sixteenth of what is left, so that the next one gets some
 * too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WINDOW_START = 32 * 1024,
	WINDOW_FIRST_MAX = 1024 * 1024,
	WINDOW_MAX = 4 * 1024 * 1024,
	FLOW_CONTROL_MEMORY_DEFAULT = 64 * 1024 * 1024,
};

struct flow_control_memory;                                          /* one per process, thread-safe */
struct flow_control_memory *flow_control_memory_new(uint64_t bytes); /* 0: the default */
void flow_control_memory_free(struct flow_control_memory *budget);
uint64_t flow_control_memory_left(const struct flow_control_memory *budget);
uint64_t flow_control_memory_size(const struct flow_control_memory *budget);

struct window { /* of one stream; zeroed is one that is not open */
	uint32_t size;
	uint32_t filled;           /* bytes received since filling_since_ms */
	uint32_t owed;             /* bytes granted above `size`: so many of what is taken next are not granted again */
	uint32_t reduced;          /* by how much it has shrunk and not grown again */
	uint32_t filling_since_ms; /* the low bits, as of all times of a stream: a wrong one after 49 days does no harm
				    */
};

void window_open(struct window *window, uint64_t now_ms);
/* More at once, of a window just opened: 1 MiB while nothing of the limit is used, less with each that has it, and none
 * of the half that is left for those that grow. The new size; to be granted where it is above WINDOW_START. */
uint32_t window_first(struct window *window, struct flow_control_memory *budget);
/* `len` bytes arrived. `keeps_up`: the app's side has taken all before. WINDOW_GROWN: size is the new one; to be
 * granted. WINDOW_OVER_LIMIT: it should grow, and too little is left. */
enum window_change { WINDOW_SAME, WINDOW_GROWN, WINDOW_OVER_LIMIT };
enum window_change window_received(struct window *window, struct flow_control_memory *budget, size_t len, bool keeps_up,
	uint64_t now_ms, uint32_t rtt_ms);
/* A window that was hardly used for 10 s is larger than its sender needs: true: size is the new one, what it was above
 * that is owed. To be asked when bytes arrive, before they are counted. */
bool window_shrinks(struct window *window, uint64_t now_ms);
/* Of `len` bytes that were taken so many settle what is owed: they are not granted again, and their charge is given
 * back. */
uint32_t window_settle(struct window *window, struct flow_control_memory *budget, size_t len);
/* It has grown by `by`, and was shrunk before: what was not granted again then is now. Returns how many bytes are to be
 * reported as taken once more; *out_given: whose charge was given back, because they are counted in the new size. */
uint32_t window_regrant(struct window *window, struct flow_control_memory *budget, uint32_t by, uint32_t *out_given);
uint32_t window_charged(const struct window *window);
void window_close(struct window *window, struct flow_control_memory *budget); /* gives back what was charged */
