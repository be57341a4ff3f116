#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct policy *policy_of(enum inbound_mode mode)
{
	struct trust_domain domain;
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("cluster.local"), &domain, NULL), ERR_NONE);
	return policy_new(&domain, mode);
}

static void a_later_mode_of_a_port_replaces_the_earlier_one(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_PERMISSIVE);
	policy_set_port_mode(policy, 443, INBOUND_STRICT);
	policy_set_port_mode(policy, 80, INBOUND_OFF);
	policy_set_port_mode(policy, 65535, INBOUND_STRICT);
	policy_set_port_mode(policy, 443, INBOUND_OFF);
	assert_int_equal(policy_mode(policy, 443), INBOUND_OFF);
	assert_int_equal(policy_mode(policy, 80), INBOUND_OFF);
	assert_int_equal(policy_mode(policy, 65535), INBOUND_STRICT);
	assert_int_equal(policy_mode(policy, 81), INBOUND_PERMISSIVE);
	assert_int_equal(policy->num_ports, 3);
}

static void the_modes_of_the_sidecars_settings_are_minimum_modes(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *control = policy_of(INBOUND_PERMISSIVE);
	_cleanup_(policy_unrefp) struct policy *minimum = policy_of(INBOUND_PERMISSIVE);
	policy_set_port_mode(control, 80, INBOUND_OFF);
	policy_set_port_mode(control, 81, INBOUND_STRICT);
	policy_set_port_mode(minimum, 5432, INBOUND_STRICT);
	struct policy_rule *rule = policy_add_rule(control, "r");
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_NAMESPACE, SPAN_LITERAL("cluster.local"), SPAN_LITERAL("a"), NULL),
		ERR_NONE);
	_cleanup_(policy_unrefp) struct policy *both = policy_tighten(control, minimum);
	assert_int_equal(policy_mode(both, 80), INBOUND_PERMISSIVE);
	assert_int_equal(policy_mode(both, 81), INBOUND_STRICT);
	assert_int_equal(policy_mode(both, 5432), INBOUND_STRICT);
	assert_int_equal(both->num_rules, 1);
	assert_string_equal(both->rules[0].sources[0].path, "a");
	assert_true(both->generation > minimum->generation);
}

static void sources_that_no_identity_can_have_are_refused(void **state)
{
	(void)state;
	static const struct {
		enum source_match_kind kind;
		const char *domain, *path;
	} bad[] = {
		{MATCH_ID, "cluster.local", ""},
		{MATCH_ID, "cluster.local", "a"},
		{MATCH_ID, "cluster.local", "/a/"},
		{MATCH_ID, "cluster.local", "/a/*"},
		{MATCH_ID_PREFIX, "Cluster", "/a"},
		{MATCH_ID_PREFIX, "", "/a"},
		{MATCH_ID_SUFFIX, "cluster.local", ""},
		{MATCH_NAMESPACE, "cluster.local", "a/b"},
		{MATCH_NAMESPACE, "cluster.local", ".."},
		{MATCH_ID, "cluster.local", "/a\n"},
		{MATCH_ID, "cluster.local", "/../a"},
	};
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_rule *rule = policy_add_rule(policy, "r");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct why why = {0};
		assert_int_not_equal(policy_rule_add_source(rule, bad[i].kind, span_of_str(bad[i].domain),
					     span_of_str(bad[i].path), &why),
			ERR_NONE);
		assert_true(why.expected[0] != '\0');
	}
	assert_int_equal(rule->num_sources, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_later_mode_of_a_port_replaces_the_earlier_one),
		cmocka_unit_test(the_modes_of_the_sidecars_settings_are_minimum_modes),
		cmocka_unit_test(sources_that_no_identity_can_have_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
