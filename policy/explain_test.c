#include "policy/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct policy *policy_of(enum inbound_mode mode)
{
	const struct trust_domain domain = {"td.test"};
	return policy_new(&domain, mode);
}

static struct policy_rule *rule_for(struct policy *policy, const char *name, const char *path)
{
	struct policy_rule *rule = policy_add_rule(policy, name);
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_ID, SPAN_LITERAL("td.test"), span_of_str(path), NULL), ERR_NONE);
	return rule;
}

static void explain(const struct policy *policy, const char *from, uint16_t port, struct policy_explanation *out)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct policy_source source = {0};
	if (from != NULL) {
		assert_int_equal(spiffe_id_parse(span_of_str(from), &id, NULL), ERR_NONE);
		source.id = &id;
	}
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.7"), &source.ip), ERR_NONE);
	policy_explain(policy, &source, port, out);
	const struct policy_decision alone = policy_decide(policy, &source, port);
	assert_int_equal(out->decision.outcome, alone.outcome);
	assert_string_equal(out->decision.rule, alone.rule);
}

static void it_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' has no '%s'", text, part);
}

static void a_mode_that_decides_is_named_with_what_would_change_it(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_explanation made;
	policy_set_port_mode(policy, 81, INBOUND_OFF);
	explain(policy, NULL, 80, &made);
	assert_int_equal(made.decision.outcome, POLICY_PLAINTEXT_REFUSED);
	assert_int_equal(made.decision.ground, POLICY_BY_MODE);
	assert_false(made.is_mode_of_port);
	it_has(made.change, "give the source a sidecar");
	explain(policy, NULL, 81, &made);
	assert_int_equal(made.decision.outcome, POLICY_ALLOWED);
	assert_true(made.is_mode_of_port);
	it_has(made.reason, "without looking at rules");
}

static void a_rule_that_decides_is_named(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_explanation made;
	rule_for(policy, "friends", "/web");
	rule_for(policy, "not-db", "/db")->deny = true;
	explain(policy, "spiffe://td.test/web", 80, &made);
	assert_int_equal(made.decision.ground, POLICY_BY_ALLOW_RULE);
	it_has(made.reason, "friends");
	explain(policy, "spiffe://td.test/db", 80, &made);
	assert_int_equal(made.decision.ground, POLICY_BY_DENY_RULE);
	it_has(made.change, "not-db");
}

static void a_default_that_decides_is_named(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_PERMISSIVE);
	struct policy_explanation made;
	explain(policy, "spiffe://td.test/web", 80, &made);
	assert_int_equal(made.decision.outcome, POLICY_ALLOWED);
	it_has(made.reason, "all of the trust domain td.test is allowed");
	explain(policy, "spiffe://other.test/web", 80, &made);
	assert_int_equal(made.decision.outcome, POLICY_DENIED);
	it_has(made.reason, "only the trust domain td.test");
	explain(policy, NULL, 80, &made);
	assert_int_equal(made.decision.outcome, POLICY_ALLOWED);
	rule_for(policy, "friends", "/web");
	explain(policy, NULL, 80, &made);
	assert_int_equal(made.decision.ground, POLICY_BY_DEFAULT);
	it_has(made.change, "unauthenticated");
	explain(policy, "spiffe://td.test/x", 80, &made);
	it_has(made.change, "friends");
}

static void an_allow_that_names_the_source_but_not_the_port_is_named(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_explanation made;
	policy_rule_add_port(rule_for(policy, "friends", "/web"), 443);
	explain(policy, "spiffe://td.test/web", 80, &made);
	assert_int_equal(made.decision.outcome, POLICY_DENIED);
	it_has(made.reason, "friends");
	it_has(made.change, "port 80");
}

static void a_dry_run_rule_is_named_with_its_outcome(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_explanation made;
	struct policy_rule *rule = rule_for(policy, "later", "/web");
	rule->deny = rule->dry_run = true;
	explain(policy, "spiffe://td.test/web", 80, &made);
	assert_int_equal(made.decision.outcome, POLICY_ALLOWED);
	assert_string_equal(made.decision.dry_run_rule, "later");
	assert_int_equal(made.dry_run_outcome, POLICY_DENIED);
}

static void a_rule_with_networks_needs_the_address_of_the_source(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct network network;
	assert_int_equal(network_parse(SPAN_LITERAL("192.0.2.0/24"), &network), ERR_NONE);
	policy_rule_add_network(rule_for(policy, "near", "/web"), &network);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/web"), &id, NULL), ERR_NONE);
	struct policy_source source = {.id = &id};
	assert_string_equal(policy_needs_address(policy, &source, 80), "near");
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.7"), &source.ip), ERR_NONE);
	assert_null(policy_needs_address(policy, &source, 80));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mode_that_decides_is_named_with_what_would_change_it),
		cmocka_unit_test(a_rule_that_decides_is_named),
		cmocka_unit_test(a_default_that_decides_is_named),
		cmocka_unit_test(an_allow_that_names_the_source_but_not_the_port_is_named),
		cmocka_unit_test(a_dry_run_rule_is_named_with_its_outcome),
		cmocka_unit_test(a_rule_with_networks_needs_the_address_of_the_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
