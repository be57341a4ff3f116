/* How many requests for certificates are admitted at once, and when the refused ones come back. Pure: time and
 * randomness are arguments.
 *
 * A sidecar gives up a request after a second and sends it again. A later answer is wasted work, so with a queue longer
 * than a second no request succeeds, and a cold start of thousands of sidecars collapses. A request is therefore
 * admitted only while the requests under way can be served within ADMISSION_WAIT_MS at the measured rate. One that is
 * there already, whose connection and handshake are paid for, is admitted up to ADMISSION_LAST_MS. Each refused request
 * gets the next free slot at twice that rate: the requests come back spread over about the time that their work takes,
 * and a higher rate can be measured. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ADMISSION_WAIT_MS      400
#define ADMISSION_PATIENT_MS   1000 /* of a sidecar that waits for a busy server (waiting_room.h) */
#define ADMISSION_LAST_MS      1500
#define ADMISSION_RETRY_MAX_MS 60000

struct admission {
	uint32_t num_under_way;
	uint32_t cost_us; /* time per request when many are under way: the inverse of the rate */
	uint64_t next_slot_us;
	/* The measurement under way. */
	uint64_t since_ms;
	uint32_t num_done, least_under_way;
};

void admission_init(struct admission *admission);
/* For connections that may bring requests; num_coming: those before it that have not yet brought theirs. */
bool admission_has_room(const struct admission *admission, unsigned num_coming, bool is_patient);
bool admission_is_full(const struct admission *admission); /* for a request that has come */
void admission_began(struct admission *admission, uint64_t now_ms);
void admission_ended(struct admission *admission, uint64_t now_ms);
/* Takes a slot. random: 32 uniform bits. At least 250 ms, at most ADMISSION_RETRY_MAX_MS. */
uint32_t admission_retry_ms(struct admission *admission, uint64_t now_ms, uint32_t random);
