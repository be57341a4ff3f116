#include "policy/findings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct policy *policy_of(enum inbound_mode mode)
{
	const struct trust_domain domain = {"td.test"};
	return policy_new(&domain, mode);
}

static struct policy_rule *rule_of(struct policy *policy, const char *name, bool deny, const char *path)
{
	struct policy_rule *rule = policy_add_rule(policy, name);
	rule->deny = deny;
	if (path != NULL)
		assert_int_equal(
			policy_rule_add_source(rule, MATCH_ID_PREFIX, SPAN_LITERAL("td.test"), span_of_str(path), NULL),
			ERR_NONE);
	return rule;
}

static void note(void *arg, const struct policy_finding *finding)
{
	char *text = arg;
	size_t len = strlen(text);
	assert_true(finding->detail.expected[0] != '\0' && finding->detail.fix[0] != '\0');
	snprintf(text + len, 512 - len, "%s:%zu ", policy_finding_text(finding->kind), finding->rule);
}

static void expect_of(const struct policy *policy, const struct policy_world *world, const char *wanted)
{
	static const struct policy_world nothing;
	char found[512] = "";
	policy_findings(policy, world == NULL ? &nothing : world, note, found);
	assert_string_equal(found, wanted);
}

static void an_allow_that_a_deny_covers_is_unreachable(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	rule_of(policy, "a", false, "/a/b");
	rule_of(policy, "no", true, "/a");
	rule_of(policy, "c", false, "/c");
	expect_of(policy, NULL, "unreachable:0 ");
}

static void a_rule_that_another_one_covers_is_shadowed(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	rule_of(policy, "narrow", false, "/a/b");
	rule_of(policy, "wide", false, "/a");
	rule_of(policy, "same", true, "/x");
	rule_of(policy, "same again", true, "/x");
	expect_of(policy, NULL, "shadowed:0 shadowed:3 ");
}

static void a_dry_run_shadows_nothing_and_can_be_shadowed(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	rule_of(policy, "a", false, "/a");
	rule_of(policy, "later", true, "/a")->dry_run = true;
	expect_of(policy, NULL, "");
	rule_of(policy, "now", true, "/a");
	expect_of(policy, NULL, "unreachable:0 shadowed:1 ");
}

static void a_rule_for_plaintext_needs_a_port_that_takes_it_by_rules(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	rule_of(policy, "probes", false, NULL)->unauthenticated = true;
	expect_of(policy, NULL, "unreachable:0 ");
	policy_set_port_mode(policy, 80, INBOUND_PERMISSIVE);
	expect_of(policy, NULL, "");
	policy_rule_add_port(&policy->rules[0], 81);
	expect_of(policy, NULL, "unreachable:0 ");
}

static bool is_federated(void *arg, struct span domain)
{
	(void)arg;
	return span_eq(domain, SPAN_LITERAL("friend.test"));
}

static bool is_served(void *arg, uint16_t port)
{
	(void)arg;
	return port == 80;
}

static void sources_and_ports_that_do_not_exist_are_found(void **state)
{
	(void)state;
	const struct policy_world world = {is_federated, is_served, NULL};
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_rule *rule = rule_of(policy, "a", false, "/a");
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_TRUST_DOMAIN, SPAN_LITERAL("friend.test"), SPAN_LITERAL(""), NULL),
		ERR_NONE);
	policy_rule_add_port(rule, 80);
	expect_of(policy, &world, "");
	expect_of(policy, NULL, "unknown_source:0 ");
	rule = rule_of(policy, "b", false, NULL);
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_TRUST_DOMAIN, SPAN_LITERAL("freind.test"), SPAN_LITERAL(""), NULL),
		ERR_NONE);
	policy_rule_add_port(rule, 81);
	expect_of(policy, &world, "empty:1 unserved_port:1 ");
}

static void more_rules_than_are_compared_are_reported_as_such(void **state)
{
	(void)state;
	char name[16];
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	for (unsigned i = 0; i <= POLICY_COMPARED_MAX; i++) {
		snprintf(name, sizeof name, "r%u", i);
		rule_of(policy, name, true, "/a");
	}
	expect_of(policy, NULL, "not_compared:0 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_allow_that_a_deny_covers_is_unreachable),
		cmocka_unit_test(a_rule_that_another_one_covers_is_shadowed),
		cmocka_unit_test(a_dry_run_shadows_nothing_and_can_be_shadowed),
		cmocka_unit_test(a_rule_for_plaintext_needs_a_port_that_takes_it_by_rules),
		cmocka_unit_test(sources_and_ports_that_do_not_exist_are_found),
		cmocka_unit_test(more_rules_than_are_compared_are_reported_as_such),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
