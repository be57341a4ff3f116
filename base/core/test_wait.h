/* For tests: waiting for what another thread, another process or the kernel does, with a deadline in real time. */
#pragma once

#include "base/core/clock.h"
#include <time.h>

#ifndef TEST_WAIT_MS /* test/arm64 gives an emulated processor more */
#define TEST_WAIT_MS 10000
#endif

static inline void test_wait_pause(void)
{
	const struct timespec pause = {.tv_nsec = 200000};
	(void)nanosleep(&pause, NULL); /* duration: the pause between two polls */
}

/* Runs the step, such as a round of a loop, until the condition holds; false: it did not within TEST_WAIT_MS. A
 * condition that held is not asked again: it may have taken what it waited for. */
#define WAIT_UNTIL(condition, step)                                                                                    \
	({                                                                                                             \
		uint64_t end_ms_ = clock_system.mono_ms(&clock_system) + TEST_WAIT_MS;                                 \
		bool holds_ = (condition);                                                                             \
		while (!holds_ && clock_system.mono_ms(&clock_system) < end_ms_) {                                     \
			step;                                                                                          \
			holds_ = (condition);                                                                          \
			if (!holds_)                                                                                   \
				test_wait_pause();                                                                     \
		}                                                                                                      \
		holds_;                                                                                                \
	})
