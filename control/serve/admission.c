#include "control/serve/admission.h"
#include "base/core/check.h"

enum {
	FIRST_COST_US = 4000,
	LEAST_COST_US = 500,
	MOST_COST_US = 100000,
	LEAST_ROOM = 16,      /* always admitted, so that one slow moment does not refuse everything */
	BUSY_UNDER_WAY = 8,   /* with fewer under way the measured rate is that of the requests, not of the signer */
	MEASURE_MS = 250,     /* a measurement takes at least this long */
	RETRY_LEAST_MS = 250, /* a shorter wait would bring the same requests back at once */
};

static uint32_t between(uint64_t least, uint64_t value, uint64_t most)
{
	return (uint32_t)(value < least ? least : value > most ? most : value);
}

/* 0..bound - 1 */
static uint32_t draw(uint32_t random, uint32_t bound)
{
	return (uint32_t)(((uint64_t)random * bound) >> 32);
}

static void measure_anew(struct admission *admission, uint64_t now_ms)
{
	admission->since_ms = now_ms;
	admission->num_done = 0;
	admission->least_under_way = admission->num_under_way;
}

void admission_init(struct admission *admission)
{
	*admission = (struct admission){.cost_us = FIRST_COST_US};
}

static bool can_wait(const struct admission *admission, uint64_t num, uint32_t most_ms)
{
	return num < LEAST_ROOM || num * admission->cost_us < most_ms * 1000ull;
}

bool admission_has_room(const struct admission *admission, unsigned num_coming, bool is_patient)
{
	uint32_t most_ms = is_patient ? ADMISSION_PATIENT_MS : ADMISSION_WAIT_MS;
	return can_wait(admission, (uint64_t)admission->num_under_way + num_coming, most_ms);
}

bool admission_is_full(const struct admission *admission)
{
	return !can_wait(admission, admission->num_under_way, ADMISSION_LAST_MS);
}

void admission_began(struct admission *admission, uint64_t now_ms)
{
	if (admission->num_under_way++ == 0)
		measure_anew(admission, now_ms);
}

void admission_ended(struct admission *admission, uint64_t now_ms)
{
	CHECK(admission->num_under_way > 0);
	admission->num_under_way--;
	admission->num_done++;
	if (admission->num_under_way < admission->least_under_way)
		admission->least_under_way = admission->num_under_way;
	uint64_t took_ms = now_ms - admission->since_ms;
	if (took_ms < MEASURE_MS)
		return;
	/* A pause of the whole process is not a rate: a measurement that took far too long is dropped. */
	if (admission->least_under_way >= BUSY_UNDER_WAY && took_ms < 8 * MEASURE_MS) {
		uint64_t sample_us = took_ms * 1000 / admission->num_done;
		admission->cost_us = between(LEAST_COST_US, (3ull * admission->cost_us + sample_us) / 4, MOST_COST_US);
	}
	measure_anew(admission, now_ms);
}

uint32_t admission_retry_ms(struct admission *admission, uint64_t now_ms, uint32_t random)
{
	uint64_t now_us = now_ms * 1000;
	uint64_t first_us = now_us + (uint64_t)admission->num_under_way * admission->cost_us;
	if (admission->next_slot_us < first_us)
		admission->next_slot_us = first_us;
	/* Slots at twice the measured rate: otherwise the measurement would only reflect the slots given out, and never
	 * rise. A request that comes too early costs a handshake and gets another slot. */
	if (admission->next_slot_us - now_us < ADMISSION_RETRY_MAX_MS * 1000ull)
		admission->next_slot_us += admission->cost_us / 2;
	uint32_t wait_ms = between(RETRY_LEAST_MS, (admission->next_slot_us - now_us) / 1000, ADMISSION_RETRY_MAX_MS);
	/* At the maximum the slots coincide: then the jitter alone spreads the requests. */
	if (wait_ms > ADMISSION_RETRY_MAX_MS * 3 / 4)
		return ADMISSION_RETRY_MAX_MS / 4 + draw(random, ADMISSION_RETRY_MAX_MS * 3 / 4);
	return wait_ms + draw(random, RETRY_LEAST_MS + wait_ms / 8);
}
