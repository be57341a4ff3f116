#include "base/core/cleanup.h"
#include "control/serve/admission.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static unsigned fill(struct admission *admission, uint64_t now_ms)
{
	unsigned num = 0;
	for (; admission_has_room(admission, 0, false); num++)
		admission_began(admission, now_ms);
	return num;
}

/* One request ends each `cost_ms`, and another takes its place. */
static uint64_t run_busy(struct admission *admission, uint64_t now_ms, uint32_t cost_ms, unsigned num)
{
	for (unsigned i = 0; i < num; i++) {
		now_ms += cost_ms;
		admission_ended(admission, now_ms);
		admission_began(admission, now_ms);
	}
	return now_ms;
}

static void finding_i14_admits_what_is_done_before_a_caller_gives_up(_unused_ void **state)
{
	struct admission admission;
	admission_init(&admission);
	assert_int_equal(fill(&admission, 1000), 100);          /* 4 ms each to begin with */
	assert_true(admission_has_room(&admission, 149, true)); /* one that waits longer */
	assert_false(admission_has_room(&admission, 150, true));
	assert_false(admission_is_full(&admission));
	for (unsigned i = 100; i < 375; i++) /* what has come already */
		admission_began(&admission, 1000);
	assert_true(admission_is_full(&admission));
	for (unsigned i = 100; i < 375; i++)
		admission_ended(&admission, 1000);
	run_busy(&admission, 1000, 2, 5000); /* the signer is faster */
	assert_in_range(fill(&admission, 20000) + 100, 190, 210);
}

static void finding_i14_a_slow_signer_gets_fewer_requests_and_never_none(_unused_ void **state)
{
	struct admission admission;
	admission_init(&admission);
	fill(&admission, 0);
	run_busy(&admission, 0, 90, 1000);
	assert_false(admission_has_room(&admission, 0, false));
	while (admission.num_under_way >= 16)
		admission_ended(&admission, 90000);
	assert_true(admission_has_room(&admission, 0, false));
}

static void finding_i14_refused_requests_come_back_over_the_time_that_their_work_takes(_unused_ void **state)
{
	struct admission admission;
	uint32_t last = 0, num_early = 0;
	admission_init(&admission);
	fill(&admission, 0);
	uint64_t now = run_busy(&admission, 0, 4, 1000);
	for (unsigned i = 0; i < 4000; i++) {
		last = admission_retry_ms(&admission, now, 0);
		num_early += last <= 4000;
	}
	assert_in_range(last, 8000, 9500);      /* 4,000 at twice 250 per second, behind those under way */
	assert_in_range(num_early, 1500, 2200); /* half of the requests in half of the time */
	assert_true(admission_retry_ms(&admission, now, UINT32_MAX) > last + 1000); /* jittered */
}

static void a_slot_that_has_passed_is_not_kept(_unused_ void **state)
{
	struct admission admission;
	admission_init(&admission);
	for (unsigned i = 0; i < 1000; i++)
		admission_retry_ms(&admission, 0, 0);
	assert_true(admission_retry_ms(&admission, 60000, 0) <= 300);
}

static void no_wait_is_longer_than_a_minute(_unused_ void **state)
{
	struct admission admission;
	uint32_t least = UINT32_MAX, most = 0;
	admission_init(&admission);
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t wait = admission_retry_ms(&admission, 0, i * 2654435761u);
		least = i > 50000 && wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	assert_true(most <= ADMISSION_RETRY_MAX_MS);
	assert_true(least < ADMISSION_RETRY_MAX_MS / 3); /* spread, not all at the bound */
}

static void few_requests_do_not_change_the_measured_rate(_unused_ void **state)
{
	struct admission admission;
	admission_init(&admission);
	for (uint64_t now = 0; now < 100000; now += 500) {
		admission_began(&admission, now);
		admission_ended(&admission, now + 400);
	}
	assert_int_equal(fill(&admission, 100000), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_i14_admits_what_is_done_before_a_caller_gives_up),
		cmocka_unit_test(finding_i14_a_slow_signer_gets_fewer_requests_and_never_none),
		cmocka_unit_test(finding_i14_refused_requests_come_back_over_the_time_that_their_work_takes),
		cmocka_unit_test(a_slot_that_has_passed_is_not_kept),
		cmocka_unit_test(no_wait_is_longer_than_a_minute),
		cmocka_unit_test(few_requests_do_not_change_the_measured_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
