/* Lines that a stranger or a peer can cause as often as it likes: of each (key, reason) a few go per window, the rest
 * is counted and told in one line when the window ends. The table never grows: what finds no place in it shares one
 * entry with the others of its kind. Pure; one thread, or its owner's lock. */
#pragma once

#include "base/core/share_key.h"

enum {
	LOG_LIMIT_LINES = 5,           /* of one key and reason in a window */
	LOG_LIMIT_WINDOW_MS = 10000,   /* from the first line on */
	LOG_LIMIT_ALL_PER_SECOND = 50, /* of all keys without identity together, and of all with one */
	LOG_LIMIT_WHO_MAX = 96,
	LOG_LIMIT_REASON_MAX = 32,
};

struct log_limit;
struct log_limit *log_limit_new(uint64_t seed); /* random_u64() */
void log_limit_free(struct log_limit *limit);
DEFINE_CLEANUP(struct log_limit *, log_limit_free)

/* Whether the line is to be written. `reason`: a label; `who`: names the key for people. Both are copied and cut. */
bool log_limit_take(
	struct log_limit *limit, const struct share_key *key, const char *reason, const char *who, uint64_t now_ms);

struct log_suppressed {           /* borrowed during the call */
	const char *reason, *who; /* who: "others" where the table had no place */
	bool has_identity;
	uint64_t num, during_ms;
};
typedef void log_suppressed_fn(void *arg, const struct log_suppressed *suppressed);
/* Tells of each window that has ended with lines suppressed. To be called about once per second. */
void log_limit_sweep(struct log_limit *limit, uint64_t now_ms, log_suppressed_fn *on_suppressed, void *arg);
uint64_t log_limit_num_suppressed(const struct log_limit *limit); /* in all */
