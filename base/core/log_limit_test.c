#include "base/core/log_limit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

struct reported {
	unsigned num;
	uint64_t suppressed;
	char last[256];
};

static void on_suppressed(void *arg, const struct log_suppressed *suppressed)
{
	struct reported *reported = arg;
	reported->num++;
	reported->suppressed += suppressed->num;
	snprintf(reported->last, sizeof reported->last, "%s %s %u %u %u", suppressed->who, suppressed->reason,
		(unsigned)suppressed->has_identity, (unsigned)suppressed->num, (unsigned)suppressed->during_ms);
}

static struct share_key key_of(uint32_t number)
{
	struct ip_addr ip = {.family = AF_INET};
	memcpy(ip.bytes, &number, sizeof number);
	return share_key_of_ip(&ip);
}

static void finding_l8_a_few_lines_pass_and_the_rest_is_one_line(void **state)
{
	(void)state;
	_cleanup_(log_limit_freep) struct log_limit *limit = log_limit_new(1);
	struct share_key one = key_of(1), other = key_of(2);
	struct reported reported = {0};
	unsigned written = 0;
	for (unsigned i = 0; i < 1000; i++)
		written += log_limit_take(limit, &one, "expired", "192.0.2.1", 1000 + i);
	assert_int_equal(written, LOG_LIMIT_LINES);
	assert_true(log_limit_take(limit, &other, "expired", "192.0.2.2", 2000)); /* another source */
	assert_true(log_limit_take(limit, &one, "untrusted", "192.0.2.1", 2000)); /* another reason */
	log_limit_sweep(limit, 1000 + LOG_LIMIT_WINDOW_MS - 1, on_suppressed, &reported);
	assert_int_equal(reported.num, 0);
	log_limit_sweep(limit, 1000 + LOG_LIMIT_WINDOW_MS, on_suppressed, &reported);
	assert_int_equal(reported.num, 1);
	assert_string_equal(reported.last, "192.0.2.1 expired 0 995 10000");
	assert_int_equal(log_limit_num_suppressed(limit), 995);
	log_limit_sweep(limit, 100000, on_suppressed, &reported);
	assert_int_equal(reported.num, 1); /* a window without suppressed lines is not reported */
	assert_true(log_limit_take(limit, &one, "expired", "192.0.2.1", 100000));
}

static void finding_l8_many_sources_share_one_total_limit(void **state)
{
	(void)state;
	_cleanup_(log_limit_freep) struct log_limit *limit = log_limit_new(1);
	struct share_key peer = share_key_of_bytes(SPAN_LITERAL("spiffe://td/a"));
	struct reported reported = {0};
	enum { MANY = 20000 };
	unsigned written = 0;
	for (uint32_t i = 0; i < MANY; i++) {
		struct share_key key = key_of(i);
		written += log_limit_take(limit, &key, "expired", "somewhere", 1000 + i / 10);
	}
	assert_in_range(written, LOG_LIMIT_ALL_PER_SECOND, 3 * LOG_LIMIT_ALL_PER_SECOND);
	assert_true(log_limit_take(limit, &peer, "denied", "spiffe://td/a", 3000)); /* an identity has its own share */
	log_limit_sweep(limit, 20000, on_suppressed, &reported);
	assert_int_equal(reported.suppressed, MANY - written); /* none is lost */
	assert_true(reported.num <= 513);
	assert_memory_equal(reported.last, "others ", 7);
}

static void long_texts_are_cut(void **state)
{
	(void)state;
	_cleanup_(log_limit_freep) struct log_limit *limit = log_limit_new(1);
	char text[300];
	struct reported reported = {0};
	struct share_key key = share_key_of_bytes(SPAN_LITERAL("x"));
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (unsigned i = 0; i < LOG_LIMIT_LINES + 1; i++)
		(void)log_limit_take(limit, &key, text, text, 5);
	log_limit_sweep(limit, 50000, on_suppressed, &reported);
	assert_int_equal(reported.num, 1);
	assert_int_equal(reported.suppressed, 1);
	assert_int_equal(strspn(reported.last, "x"), LOG_LIMIT_WHO_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_l8_a_few_lines_pass_and_the_rest_is_one_line),
		cmocka_unit_test(finding_l8_many_sources_share_one_total_limit),
		cmocka_unit_test(long_texts_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
