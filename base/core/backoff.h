/* Exponential backoff with full jitter: a delay between 0 and a bound that doubles from `first_ms` to `max_ms`. Pure:
 * the random number is an argument. */
#pragma once

#include <stdint.h>

struct backoff {
	uint32_t first_ms, max_ms;
	uint32_t bound_ms; /* of the next attempt; 0: none was made */
};

void backoff_init(struct backoff *backoff, uint32_t first_ms, uint32_t max_ms);
uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random); /* random: 32 uniform bits */
void backoff_reset(struct backoff *backoff);                        /* after a success */
/* The own delay, or the one that the server asks for where that is longer: up to a minute, since a longer one would be
 * an outage that the server cannot end. */
uint32_t backoff_longer_ms(uint32_t own_ms, uint32_t retry_after_ms);
