/* How many requests for certificates are let in at once, and when those that are not shall come back. Pure: time and
 * randomness come in as arguments.
 *
 * A sidecar gives a try up after a second. An answer that comes later is work for nothing, and the try is made again:
 * a queue longer than a second serves no one (a cold start of thousands of sidecars collapses). So a request is let in
 * only while what is under way can be done within ADMISSION_WAIT_MS at the rate that was measured, and each one that is
 * refused gets the next free slot of twice that rate: they come back spread over about the time that their work takes,
 * and the rate can be found to be higher. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ADMISSION_WAIT_MS      400
#define ADMISSION_RETRY_MAX_MS 60000

struct admission {
	uint32_t num_under_way;
	uint32_t cost_us; /* time per request when many are under way: the inverse of the rate */
	uint64_t next_slot_us;
	/* The measurement that goes on now. */
	uint64_t since_ms;
	uint32_t num_done, least_under_way;
};

void admission_init(struct admission *admission);
bool admission_has_room(const struct admission *admission);
void admission_began(struct admission *admission, uint64_t now_ms);
void admission_ended(struct admission *admission, uint64_t now_ms);
/* Takes a slot. random: 32 uniform bits. At least 250 ms, at most ADMISSION_RETRY_MAX_MS. */
uint32_t admission_retry_ms(struct admission *admission, uint64_t now_ms, uint32_t random);
