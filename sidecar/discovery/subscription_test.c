#include "sidecar/discovery/subscription.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static bool update(struct subscription_set *set, const char *text, uint64_t version)
{
	struct addr addr = addr_of(text);
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&addr, DESTINATION_PLAINTEXT, version, 0);
	return subscription_set_update(set, answer);
}

static void a_destination_is_subscribed_once(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(4);
	struct addr a = addr_of("192.0.2.1:1"), dropped;
	assert_true(subscription_set_add(set, &a, &dropped));
	assert_false(subscription_set_add(set, &a, &dropped));
	assert_int_equal(subscription_set_num(set), 1);
	subscription_set_free(set);
}

static void c13_an_answer_that_is_not_newer_or_not_subscribed_is_ignored(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(4);
	struct addr a = addr_of("192.0.2.1:1"), dropped;
	assert_true(subscription_set_add(set, &a, &dropped));
	assert_true(update(set, "192.0.2.1:1", 7));
	assert_false(update(set, "192.0.2.1:1", 7));
	assert_false(update(set, "192.0.2.1:1", 6));
	assert_false(update(set, "192.0.2.2:1", 9));
	assert_int_equal(subscription_set_find(set, &a)->version, 7);
	subscription_set_free(set);
}

static void a_new_stream_may_restart_its_versions_and_known_answers_stay(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(4);
	struct addr a = addr_of("192.0.2.1:1"), dropped;
	assert_true(subscription_set_add(set, &a, &dropped));
	assert_true(update(set, "192.0.2.1:1", 7));
	subscription_set_restart(set);
	assert_int_equal(subscription_set_find(set, &a)->version, 7);
	assert_true(update(set, "192.0.2.1:1", 2));
	assert_int_equal(subscription_set_find(set, &a)->version, 2);
	subscription_set_free(set);
}

static void the_least_recently_used_subscription_is_dropped(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(2);
	struct addr a = addr_of("192.0.2.1:1"), b = addr_of("192.0.2.1:2"), c = addr_of("192.0.2.1:3"), dropped;
	assert_true(subscription_set_add(set, &a, &dropped));
	assert_true(subscription_set_add(set, &b, &dropped));
	assert_int_equal(dropped.ip.family, 0);
	assert_false(subscription_set_add(set, &a, &dropped));
	assert_true(subscription_set_add(set, &c, &dropped));
	assert_true(addr_eq(&dropped, &b));
	assert_int_equal(subscription_set_num(set), 2);
	subscription_set_free(set);
}

/* An answer of a service with affinity, whose endpoints have these last bytes. The endpoint that is pinned. */
static uint8_t keep(struct subscription_set *set, const char *endpoints, size_t num_draining)
{
	static uint64_t version;
	struct addr at = addr_of("198.51.100.1:80");
	_cleanup_(answer_unrefp) struct answer *answer =
		answer_new(&at, DESTINATION_MESHED, ++version, strlen(endpoints));
	for (size_t i = 0; i < answer->num_endpoints; i++) {
		answer->endpoints[i].address = addr_of("192.0.2.1:80");
		answer->endpoints[i].address.ip.bytes[3] = (uint8_t)endpoints[i];
	}
	answer->affinity_s = 10800;
	answer->num_draining = num_draining;
	assert_true(subscription_set_update(set, answer));
	return answer->num_endpoints == 0 ? 0 : answer->endpoints[answer->pinned].address.ip.bytes[3];
}

static void with_affinity_the_endpoint_stays_while_the_service_has_it(void **state)
{
	(void)state;
	struct subscription_set *set = subscription_set_new(2);
	struct addr at = addr_of("198.51.100.1:80"), dropped;
	assert_true(subscription_set_add(set, &at, &dropped));
	assert_int_equal(keep(set, "b", 0), 'b');
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(keep(set, i % 2 == 0 ? "abcdef" : "fedcb", 0), 'b');
	assert_int_equal(keep(set, "", 0), 0); /* none for a while */
	assert_int_equal(keep(set, "abcd", 0), 'b');
	assert_int_equal(keep(set, "cb", 1), 'c'); /* it drains */
	assert_int_equal(keep(set, "abcd", 0), 'c');
	subscription_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_destination_is_subscribed_once),
		cmocka_unit_test(c13_an_answer_that_is_not_newer_or_not_subscribed_is_ignored),
		cmocka_unit_test(a_new_stream_may_restart_its_versions_and_known_answers_stay),
		cmocka_unit_test(the_least_recently_used_subscription_is_dropped),
		cmocka_unit_test(with_affinity_the_endpoint_stays_while_the_service_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
