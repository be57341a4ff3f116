#include "control/serve/enroll_limit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the four above */
#include <cmocka.h>

enum { RATE = 10 };

static struct ip_addr ip(const char *text)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return ip;
}

static unsigned num_taken(struct enroll_limit *limit, const char *text, unsigned tries)
{
	struct ip_addr source = ip(text);
	unsigned num = 0;
	for (unsigned i = 0; i < tries; i++)
		num += enroll_limit_take(limit, &source, 1000) == ENROLL_YES;
	return num;
}

static void finding_l5_one_address_does_not_exhaust_the_rate_of_its_64(void **state)
{
	(void)state;
	struct enroll_limit *limit = enroll_limit_new(RATE, 7);
	assert_int_equal(num_taken(limit, "2001:db8::bad", 1000), RATE);
	for (unsigned i = 1; i <= 12; i++) {
		char text[32];
		snprintf(text, sizeof text, "2001:db8::%x", i);
		assert_int_equal(num_taken(limit, text, 1), 1);
	}
	enroll_limit_free(limit);
}

static void finding_l5_a_whole_64_has_a_limit_that_does_not_affect_others(void **state)
{
	(void)state;
	struct enroll_limit *limit = enroll_limit_new(RATE, 7);
	unsigned num = 0;
	for (unsigned i = 0; i < 1000; i++) {
		char text[40];
		snprintf(text, sizeof text, "2001:db8::1:%x", i);
		num += num_taken(limit, text, 1);
	}
	assert_int_equal(num, RATE * ENROLL_NETWORK_ALLOWANCE);
	assert_int_equal(num_taken(limit, "2001:db8:0:1::1", 1), 1);
	assert_int_equal(num_taken(limit, "192.0.2.1", 100), RATE);
	assert_int_equal(num_taken(limit, "192.0.2.2", 1), 1);
	enroll_limit_free(limit);
}

static void finding_l5_a_known_key_has_a_rate_of_its_own(void **state)
{
	(void)state;
	struct enroll_limit *limit = enroll_limit_new(RATE, 7);
	const uint8_t one[DIGEST_LEN] = {1}, other[DIGEST_LEN] = {2};
	struct ip_addr source = ip("192.0.2.1");
	assert_int_equal(num_taken(limit, "192.0.2.1", 100), RATE);
	assert_int_equal(enroll_limit_take(limit, &source, 1000), ENROLL_IF_KNOWN);
	unsigned num = 0;
	for (unsigned i = 0; i < 20; i++)
		num += enroll_limit_take_key(limit, one, 1000);
	assert_int_equal(num, 5);
	assert_true(enroll_limit_take_key(limit, other, 1000));
	assert_true(enroll_limit_take_key(limit, one, 3000));
	for (unsigned i = 0; i < 1000; i++)
		(void)enroll_limit_take(limit, &source, 1000);
	assert_int_equal(enroll_limit_take(limit, &source, 1000), ENROLL_NO);
	enroll_limit_free(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_l5_one_address_does_not_exhaust_the_rate_of_its_64),
		cmocka_unit_test(finding_l5_a_whole_64_has_a_limit_that_does_not_affect_others),
		cmocka_unit_test(finding_l5_a_known_key_has_a_rate_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
