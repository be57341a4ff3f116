/* How much of a tunnel's output is made ahead of its path. What was made stands before every small request that comes
 * later: on a fast path it leaves within a millisecond, on one of 100 Mbit/s 512 KiB would take 40. Pure. */
#pragma once

#include "base/net/tcp_path.h"

enum {
	PACE_MAX = 256 * 1024, /* a fast path: fewer system calls */
	PACE_MIN = 16 * 1024,  /* a record */
	PACE_AHEAD_MS = 4,     /* of the path's rate */
	PACE_ASK_MS = 10,      /* how often the kernel is asked, while output waits */
};

struct pace {           /* zeroed: a path that nothing is known of */
	uint32_t batch; /* 0: PACE_MAX */
	uint64_t asked_ms;
};

uint32_t pace_batch(const struct pace *pace); /* bytes to be made at once, and to be left to the kernel unsent */
/* Output has waited for the kernel: whether it is to be asked about the path now. */
bool pace_wants_facts(struct pace *pace, uint64_t now_ms);
/* The answer; true: pace_batch() has changed. */
bool pace_judge(struct pace *pace, const struct tcp_path *path);
