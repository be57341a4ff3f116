#include "policy/cover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool covers(enum source_match_kind wide, const char *a, enum source_match_kind narrow, const char *b)
{
	const struct source_match one = {wide, (char *)(uintptr_t) "td", (char *)(uintptr_t)a};
	const struct source_match two = {narrow, (char *)(uintptr_t) "td", (char *)(uintptr_t)b};
	return policy_source_covers(&one, &two);
}

static void a_source_covers_what_lies_within_it(void **state)
{
	(void)state;
	assert_true(covers(MATCH_ID, "/a", MATCH_ID, "/a"));
	assert_true(covers(MATCH_ID_PREFIX, "/a", MATCH_ID, "/a/b"));
	assert_true(covers(MATCH_ID_PREFIX, "/a", MATCH_ID_PREFIX, "/a/b"));
	assert_true(covers(MATCH_ID_PREFIX, "", MATCH_ID_SUFFIX, "/a"));
	assert_true(covers(MATCH_ID_PREFIX, "/ns", MATCH_NAMESPACE, "a"));
	assert_true(covers(MATCH_ID_PREFIX, "/ns/a", MATCH_NAMESPACE, "a"));
	assert_true(covers(MATCH_ID_SUFFIX, "/b", MATCH_ID_SUFFIX, "/a/b"));
	assert_true(covers(MATCH_TRUST_DOMAIN, "", MATCH_NAMESPACE, "a"));
	assert_true(covers(MATCH_NAMESPACE, "a", MATCH_ID, "/ns/a/sa/b"));
	assert_true(covers(MATCH_NAMESPACE, "a", MATCH_ID_PREFIX, "/ns/a/sa"));
}

static void a_source_does_not_cover_what_may_lie_outside(void **state)
{
	(void)state;
	assert_false(covers(MATCH_ID, "/a", MATCH_ID_PREFIX, "/a"));
	assert_false(covers(MATCH_ID_PREFIX, "/a", MATCH_ID, "/ab"));
	assert_false(covers(MATCH_ID_PREFIX, "/a", MATCH_ID_SUFFIX, "/a"));
	assert_false(covers(MATCH_ID_PREFIX, "/ns/a/sa", MATCH_NAMESPACE, "a"));
	assert_false(covers(MATCH_ID_PREFIX, "/ns/ab", MATCH_NAMESPACE, "a"));
	assert_false(covers(MATCH_NAMESPACE, "a", MATCH_ID_PREFIX, "/ns/a")); /* also the identity /ns/a itself */
	assert_false(covers(MATCH_NAMESPACE, "a", MATCH_NAMESPACE, "b"));
	assert_false(covers(MATCH_ID_SUFFIX, "/a/b", MATCH_ID_SUFFIX, "/b"));
	assert_false(covers(MATCH_ID_PREFIX, "/a", MATCH_TRUST_DOMAIN, ""));
}

static struct network network_of(const char *text)
{
	struct network network;
	assert_int_equal(network_parse(span_of_str(text), &network), ERR_NONE);
	return network;
}

static void networks_ports_and_plaintext_count_too(void **state)
{
	(void)state;
	struct network wide_net = network_of("192.0.2.0/24"), narrow_net = network_of("192.0.2.128/25");
	uint16_t both[] = {80, 81}, one[] = {80};
	struct policy_rule wide = {.networks = &wide_net, .num_networks = 1, .ports = both, .num_ports = 2};
	struct policy_rule narrow = {.networks = &narrow_net, .num_networks = 1, .ports = one, .num_ports = 1};
	assert_true(policy_rule_covers(&wide, &narrow));
	assert_false(policy_rule_covers(&narrow, &wide));
	narrow.num_ports = 0; /* any */
	assert_false(policy_rule_covers(&wide, &narrow));
	narrow.num_ports = 1;
	narrow.unauthenticated = true; /* also plaintext, which an allow for identities does not match */
	assert_false(policy_rule_covers(&wide, &narrow));
	wide.deny = true;
	assert_true(policy_rule_covers(&wide, &narrow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_covers_what_lies_within_it),
		cmocka_unit_test(a_source_does_not_cover_what_may_lie_outside),
		cmocka_unit_test(networks_ports_and_plaintext_count_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
