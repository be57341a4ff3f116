#include "base/core/cleanup.h"
#include "sidecar/identity/renew.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>

#define NOON_S 1800000000

static struct renew_now at(uint64_t since_ms, uint32_t random)
{
	return (struct renew_now){
		.boot_ms = 500000 + since_ms,
		.mono_ms = 400000 + since_ms,
		.wall_ms = NOON_S * 1000LL + (int64_t)since_ms,
		.trusted_s = NOON_S + (int64_t)(since_ms / 1000),
		.random = random,
	};
}

static uint64_t due_after(const struct renew *renew)
{
	return renew->due_boot_ms - 500000;
}

static void got(struct renew *renew, uint64_t since_ms, int64_t life_s, uint32_t random)
{
	struct renew_now now = at(since_ms, random);
	renew_got_certificate(renew, &now, now.trusted_s + life_s);
}

static void renews_between_half_and_two_thirds_of_the_lifetime(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 3600, 0);
	assert_int_equal(due_after(&renew), 1800000);
	got(&renew, 0, 3600, UINT32_MAX);
	assert_in_range(due_after(&renew), 2370000, 2376000);
}

static void works_with_leaves_of_five_seconds(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 5, UINT32_MAX / 2);
	assert_in_range(due_after(&renew), 2500, 3300);
	struct renew_now late = at(3300, 0), early = at(2400, 0);
	assert_true(renew_is_due(&renew, &late));
	assert_false(renew_is_due(&renew, &early));
	renew_failed(&renew, &(struct renew_now){.boot_ms = 503300, .trusted_s = NOON_S + 3, .random = UINT32_MAX}, 0);
	assert_in_range(due_after(&renew), 3300, 3300 + 667); /* a third of the two seconds left */
}

static void follows_the_servers_slot_unless_due_earlier(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 3600, 0);
	struct renew_now now = at(1000, UINT32_MAX);
	renew_got_slot(&renew, &now, 60000);
	assert_int_equal(due_after(&renew), 61000);
	renew_got_slot(&renew, &now, 600000);
	assert_int_equal(due_after(&renew), 61000);
}

static void retries_forever_with_doubling_jitter_up_to_a_minute(_unused_ void **state)
{
	static const uint64_t bounds[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 3600, 0);
	for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
		struct renew_now now = at(1800000, UINT32_MAX); /* 900 s before the quarter */
		renew_failed(&renew, &now, 0);
		assert_int_equal(due_after(&renew), 1800000 + bounds[i]);
	}
	struct renew_now now = at(1800000, 0);
	renew_failed(&renew, &now, 0);
	assert_int_equal(due_after(&renew), 1800000);
}

static void respects_the_servers_retry_after(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 10, 0);
	struct renew_now now = at(5000, 0);
	renew_failed(&renew, &now, 7000);
	assert_int_equal(due_after(&renew), 12000);
	renew_failed(&renew, &now, UINT32_MAX); /* 49 days */
	assert_int_equal(due_after(&renew), 65000);
}

static void a_new_certificate_resets_the_backoff(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 3600, 0);
	struct renew_now now = at(1800000, UINT32_MAX);
	for (int i = 0; i < 5; i++)
		renew_failed(&renew, &now, 0);
	got(&renew, 1800000, 3600, 0);
	renew_failed(&renew, &now, 0);
	assert_int_equal(due_after(&renew), 1801000);
}

static void a_step_of_the_wall_clock_makes_the_renewal_earlier(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 3600, 0);
	struct renew_now now = at(1000, UINT32_MAX);
	assert_false(renew_poll(&renew, &now));
	now = at(2000, UINT32_MAX);
	now.wall_ms += 20000;
	assert_true(renew_poll(&renew, &now));
	assert_int_equal(due_after(&renew), 12000); /* jittered over ten seconds */
	now = at(3000, UINT32_MAX);
	assert_true(renew_poll(&renew, &now)); /* and back */
}

static void a_resume_from_suspend_makes_the_renewal_earlier(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 3600, UINT32_MAX);
	struct renew_now now = at(1000, 0);
	assert_false(renew_poll(&renew, &now));
	now = at(601000, 0);
	now.mono_ms -= 590000;
	assert_true(renew_poll(&renew, &now));
	assert_true(renew_is_due(&renew, &now));
}

static void a_slow_drift_is_not_reported_as_a_jump(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	got(&renew, 0, 3600, 0);
	for (unsigned i = 0; i < 100; i++) {
		struct renew_now now = at(i * 1000, 0);
		now.wall_ms += i * 200;
		assert_false(renew_poll(&renew, &now));
	}
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 32);
}

/* An hour in which 30 % of the requests fail at once. Returns the least remaining lifetime, in permille. */
static unsigned simulate_an_hour(uint64_t seed, uint32_t life_s, unsigned *num_renewals)
{
	struct renew renew;
	uint64_t since_ms = 0, got_ms = 0;
	unsigned least = 1000;
	renew_init(&renew);
	got(&renew, 0, life_s, next_random(&seed));
	while (since_ms < 3600u * 1000) {
		since_ms = due_after(&renew);
		unsigned left = (unsigned)(1000 - (since_ms - got_ms) * 1000 / (life_s * 1000u));
		least = left < least ? left : least;
		struct renew_now now = at(since_ms, next_random(&seed));
		if (next_random(&seed) % 100 < 30) {
			renew_failed(&renew, &now, 0);
			continue;
		}
		got(&renew, since_ms, life_s, next_random(&seed));
		got_ms = since_ms;
		++*num_renewals;
	}
	return least;
}

static void with_failures_at_random_a_quarter_of_the_lifetime_always_remains(_unused_ void **state)
{
	static const uint32_t lives_s[] = {300, 600, 3600};
	for (size_t i = 0; i < sizeof lives_s / sizeof lives_s[0]; i++) {
		unsigned least = 1000, num_renewals = 0;
		for (uint64_t seed = 1; seed <= 1000; seed++) {
			unsigned left = simulate_an_hour(seed, lives_s[i], &num_renewals);
			least = left < least ? left : least;
		}
		print_message("  lifetime %u s: %u renewals, %u permille of the lifetime remained at least\n",
			lives_s[i], num_renewals, least);
		assert_true(least >= 250);
		assert_true(num_renewals >= 1000);
	}
}

static void is_not_due_before_the_first_certificate(_unused_ void **state)
{
	struct renew renew;
	renew_init(&renew);
	struct renew_now now = at(0, 0);
	assert_false(renew_is_due(&renew, &now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renews_between_half_and_two_thirds_of_the_lifetime),
		cmocka_unit_test(works_with_leaves_of_five_seconds),
		cmocka_unit_test(follows_the_servers_slot_unless_due_earlier),
		cmocka_unit_test(retries_forever_with_doubling_jitter_up_to_a_minute),
		cmocka_unit_test(respects_the_servers_retry_after),
		cmocka_unit_test(a_new_certificate_resets_the_backoff),
		cmocka_unit_test(a_step_of_the_wall_clock_makes_the_renewal_earlier),
		cmocka_unit_test(a_resume_from_suspend_makes_the_renewal_earlier),
		cmocka_unit_test(a_slow_drift_is_not_reported_as_a_jump),
		cmocka_unit_test(with_failures_at_random_a_quarter_of_the_lifetime_always_remains),
		cmocka_unit_test(is_not_due_before_the_first_certificate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
