/* A rate limit for log lines that a peer can trigger at will. Per (key, reason) and window a few lines pass; the rest
 * is counted and reported once when the window ends. The table has a fixed size: keys without an entry share one entry
 * per kind. Pure. Not thread-safe. */
#pragma once

#include "base/core/share_key.h"

enum {
	LOG_LIMIT_LINES = 5,           /* per key and reason and window */
	LOG_LIMIT_WINDOW_MS = 10000,   /* begins with the first line */
	LOG_LIMIT_ALL_PER_SECOND = 50, /* for all keys without identity together, and for all with one */
	LOG_LIMIT_WHO_MAX = 96,
	LOG_LIMIT_REASON_MAX = 32,
};

struct log_limit;
struct log_limit *log_limit_new(uint64_t seed); /* random_u64() */
void log_limit_free(struct log_limit *limit);
DEFINE_CLEANUP(struct log_limit *, log_limit_free)

/* Whether the line may be logged. `reason`: a label; `who`: the key as text. Both are copied and cut. */
bool log_limit_take(
	struct log_limit *limit, const struct share_key *key, const char *reason, const char *who, uint64_t now_ms);

struct log_suppressed {           /* borrowed during the call */
	const char *reason, *who; /* who: "others" for the shared entry */
	bool has_identity;
	uint64_t num, during_ms;
};
typedef void log_suppressed_fn(void *arg, const struct log_suppressed *suppressed);
/* Reports each window that ended with suppressed lines. To be called about once per second. */
void log_limit_sweep(struct log_limit *limit, uint64_t now_ms, log_suppressed_fn *on_suppressed, void *arg);
uint64_t log_limit_num_suppressed(const struct log_limit *limit); /* in all */
