#include "sidecar/report/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct failure failure_from(const char *remote, enum err err)
{
	struct failure seen = {.what = "tunnel", .direction = "inbound", .reason = ""};
	assert_int_equal(addr_parse(span_of_str(remote), &seen.remote), ERR_NONE);
	(void)why_set(&seen.detail, err, "a", "b", "c from %s", remote);
	return seen;
}

static int set_up(void **state)
{
	*state = failures_new(4);
	return 0;
}

static int tear_down(void **state)
{
	failures_free(*state);
	return 0;
}

static void a_repeated_failure_is_counted(void **state)
{
	struct failure first = failure_from("192.0.2.1:1000", ERR_EXPIRED), out[4];
	struct failure again = failure_from("192.0.2.1:2000", ERR_EXPIRED);
	failures_add(*state, &first, 100);
	failures_add(*state, &again, 200);
	assert_int_equal(failures_copy(*state, out, 4), 1);
	assert_int_equal(out[0].num, 2);
	assert_int_equal(out[0].first_wall_ms, 100);
	assert_int_equal(out[0].last_wall_ms, 200);
	assert_string_equal(out[0].detail.got, "c from 192.0.2.1:2000"); /* the latest text */
}

static void another_error_address_or_direction_is_another_failure(void **state)
{
	struct failure seen = failure_from("192.0.2.1:1", ERR_EXPIRED), out[4];
	failures_add(*state, &seen, 1);
	seen.direction = "outbound";
	failures_add(*state, &seen, 2);
	seen = failure_from("192.0.2.1:1", ERR_UNTRUSTED);
	failures_add(*state, &seen, 3);
	seen = failure_from("192.0.2.2:1", ERR_UNTRUSTED);
	failures_add(*state, &seen, 4);
	assert_int_equal(failures_copy(*state, out, 4), 4);
	assert_int_equal(out[0].last_wall_ms, 4); /* the most recent first */
	assert_int_equal(out[3].last_wall_ms, 1);
}

static void D40_ten_thousand_sources_use_no_more_entries_than_the_limit(void **state)
{
	struct failure out[8];
	for (uint32_t i = 0; i < 10000; i++) {
		struct failure seen = failure_from("192.0.2.1:1", ERR_EXPIRED);
		memcpy(seen.remote.ip.bytes, &i, sizeof(i));
		failures_add(*state, &seen, i);
	}
	assert_int_equal(failures_copy(*state, out, 8), 4);
	assert_int_equal(out[0].last_wall_ms, 9999);
	assert_int_equal(out[3].last_wall_ms, 9996);
	assert_int_equal(out[3].num, 1); /* not the count of the entry that it replaced */
}

static void what_gave_way_is_counted(void **state)
{
	static const char *const remotes[] = {"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1",
		"192.0.2.5:1", "192.0.2.6:1"};
	for (size_t i = 0; i < sizeof(remotes) / sizeof(remotes[0]); i++) {
		struct failure seen = failure_from(remotes[i], ERR_EXPIRED);
		failures_add(*state, &seen, 1);
	}
	assert_int_equal(failures_num_left_out(*state), 2);
}

static void a_repeated_failure_is_not_the_next_to_be_replaced(void **state)
{
	struct failure first = failure_from("192.0.2.1:1", ERR_EXPIRED), out[4];
	failures_add(*state, &first, 1);
	for (uint8_t i = 2; i < 20; i++) {
		struct failure seen = failure_from("192.0.2.1:1", ERR_EXPIRED);
		seen.remote.ip.bytes[3] = i;
		failures_add(*state, &seen, i);
		failures_add(*state, &first, i);
	}
	assert_int_equal(failures_copy(*state, out, 4), 4);
	assert_int_equal(out[0].num, 19);
	assert_int_equal(out[0].first_wall_ms, 1);
}

static void finding_l8_inbound_failures_do_not_replace_all_outbound_ones(void **state)
{
	struct failure out[4], own = failure_from("192.0.2.77:1", ERR_WRONG_PEER);
	own.direction = "outbound";
	failures_add(*state, &own, 1);
	for (uint32_t i = 0; i < 1000; i++) {
		struct failure seen = failure_from("192.0.2.1:1", ERR_EXPIRED);
		memcpy(seen.remote.ip.bytes, &i, sizeof(i));
		failures_add(*state, &seen, 2);
	}
	assert_int_equal(failures_copy(*state, out, 4), 4);
	assert_string_equal(out[3].direction, "outbound");
	struct failure first = failure_from("[2001:db8::1]:1", ERR_EXPIRED),
		       neighbor = failure_from("[2001:db8::2]:1", ERR_EXPIRED);
	failures_add(*state, &first, 3);
	failures_add(*state, &neighbor, 4);
	assert_int_equal(failures_copy(*state, out, 4), 4);
	assert_int_equal(out[0].num, 2); /* one network is one source */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_repeated_failure_is_counted),
		TEST(another_error_address_or_direction_is_another_failure),
		TEST(D40_ten_thousand_sources_use_no_more_entries_than_the_limit),
		TEST(what_gave_way_is_counted),
		TEST(a_repeated_failure_is_not_the_next_to_be_replaced),
		TEST(finding_l8_inbound_failures_do_not_replace_all_outbound_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
