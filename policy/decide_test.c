#include "policy/decide.h"

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

static struct policy_rule *rule_for(
	struct policy *policy, const char *name, enum source_match_kind kind, const char *domain, const char *path)
{
	struct policy_rule *rule = policy_add_rule(policy, name);
	assert_int_equal(policy_rule_add_source(rule, kind, span_of_str(domain), span_of_str(path), NULL), ERR_NONE);
	return rule;
}

static struct policy_decision decide(
	const struct policy *policy, const char *id_text, const char *ip_text, uint16_t port)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct policy_source source = {0};
	if (id_text != NULL) {
		assert_int_equal(spiffe_id_parse(span_of_str(id_text), &id, NULL), ERR_NONE);
		source.id = &id;
	}
	assert_int_equal(ip_addr_parse(span_of_str(ip_text), &source.ip), ERR_NONE);
	return policy_decide(policy, &source, port);
}

static enum policy_outcome outcome(const struct policy *policy, const char *id, uint16_t port)
{
	return decide(policy, id, "192.0.2.7", port).outcome;
}

static void s6_the_own_trust_domain_is_allowed_without_an_allow_rule(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	assert_int_equal(outcome(policy, "spiffe://cluster.local/ns/a/sa/b", 80), POLICY_ALLOWED);
}

static void s6_another_trust_domain_is_denied_unless_a_rule_names_it(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_PERMISSIVE);
	assert_int_equal(outcome(policy, "spiffe://cluster.local.evil/ns/a/sa/b", 80), POLICY_DENIED);
	assert_int_equal(outcome(policy, "spiffe://cluster.loca/ns/a/sa/b", 80), POLICY_DENIED);
}

static void d1_plaintext_to_a_strict_port_is_refused_whatever_the_rules_are(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	policy_add_rule(policy, "probes")->unauthenticated = true;
	assert_int_equal(outcome(policy, NULL, 80), POLICY_PLAINTEXT_REFUSED);
}

static void plaintext_to_a_permissive_port_is_allowed_without_rules(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_PERMISSIVE);
	assert_int_equal(outcome(policy, NULL, 80), POLICY_ALLOWED);
}

static void plaintext_to_a_permissive_port_is_denied_once_a_rule_names_an_identity(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_PERMISSIVE);
	rule_for(policy, "web", MATCH_ID, "cluster.local", "/ns/a/sa/web");
	assert_int_equal(outcome(policy, NULL, 80), POLICY_DENIED);
	policy_add_rule(policy, "probes")->unauthenticated = true;
	assert_int_equal(outcome(policy, NULL, 80), POLICY_ALLOWED);
}

static void plaintext_matches_every_deny_rule_that_names_identities(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_PERMISSIVE);
	rule_for(policy, "not-batch", MATCH_ID, "cluster.local", "/ns/a/sa/batch")->deny = true;
	struct policy_decision made = decide(policy, NULL, "192.0.2.7", 80);
	assert_int_equal(made.outcome, POLICY_DENIED);
	assert_string_equal(made.rule, "not-batch");
}

static void mode_off_accepts_plaintext_without_rules(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_OFF);
	policy_add_rule(policy, "deny_all")->deny = true;
	assert_int_equal(outcome(policy, NULL, 80), POLICY_ALLOWED);
	assert_int_equal(outcome(policy, "spiffe://cluster.local/a", 80), POLICY_DENIED);
}

static void deny_wins_over_allow_whatever_their_order(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	rule_for(policy, "all", MATCH_TRUST_DOMAIN, "cluster.local", "");
	rule_for(policy, "not-b", MATCH_ID, "cluster.local", "/b")->deny = true;
	assert_int_equal(outcome(policy, "spiffe://cluster.local/a", 80), POLICY_ALLOWED);
	assert_int_equal(outcome(policy, "spiffe://cluster.local/b", 80), POLICY_DENIED);
}

static void n3_prefixes_and_suffixes_match_whole_segments_only(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *prefix = policy_of(INBOUND_STRICT);
	rule_for(prefix, "p", MATCH_ID_PREFIX, "cluster.local", "/a");
	assert_int_equal(outcome(prefix, "spiffe://cluster.local/a", 80), POLICY_ALLOWED);
	assert_int_equal(outcome(prefix, "spiffe://cluster.local/a/x", 80), POLICY_ALLOWED);
	assert_int_equal(outcome(prefix, "spiffe://cluster.local/ab", 80), POLICY_DENIED);
	assert_int_equal(outcome(prefix, "spiffe://other/a/x", 80), POLICY_DENIED);
	_cleanup_(policy_unrefp) struct policy *suffix = policy_of(INBOUND_STRICT);
	rule_for(suffix, "s", MATCH_ID_SUFFIX, "cluster.local", "/sa/web");
	assert_int_equal(outcome(suffix, "spiffe://cluster.local/ns/x/sa/web", 80), POLICY_ALLOWED);
	assert_int_equal(outcome(suffix, "spiffe://cluster.local/ns/x/nosa/web", 80), POLICY_DENIED);
	assert_int_equal(outcome(suffix, "spiffe://cluster.local/ns/x/sa/web2", 80), POLICY_DENIED);
}

static void namespaces_match_exactly(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	rule_for(policy, "n", MATCH_NAMESPACE, "cluster.local", "shop");
	assert_int_equal(outcome(policy, "spiffe://cluster.local/ns/shop/sa/web", 80), POLICY_ALLOWED);
	assert_int_equal(outcome(policy, "spiffe://cluster.local/ns/shop2/sa/web", 80), POLICY_DENIED);
	assert_int_equal(outcome(policy, "spiffe://cluster.local/ns/shop", 80), POLICY_DENIED);
	assert_int_equal(outcome(policy, "spiffe://cluster.local/x/ns/shop/sa/web", 80), POLICY_DENIED);
}

static void networks_and_ports_narrow_a_rule(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_rule *rule = rule_for(policy, "db", MATCH_ID, "cluster.local", "/web");
	struct network network;
	assert_int_equal(network_parse(SPAN_LITERAL("192.0.2.0/24"), &network), ERR_NONE);
	policy_rule_add_network(rule, &network);
	policy_rule_add_port(rule, 5432);
	assert_int_equal(decide(policy, "spiffe://cluster.local/web", "192.0.2.9", 5432).outcome, POLICY_ALLOWED);
	assert_int_equal(decide(policy, "spiffe://cluster.local/web", "192.0.2.9", 5433).outcome, POLICY_DENIED);
	assert_int_equal(decide(policy, "spiffe://cluster.local/web", "198.51.100.9", 5432).outcome, POLICY_DENIED);
}

static void a_dry_run_rule_decides_nothing_and_is_reported_if_it_would_differ(void **state)
{
	(void)state;
	_cleanup_(policy_unrefp) struct policy *policy = policy_of(INBOUND_STRICT);
	struct policy_rule *rule = rule_for(policy, "try", MATCH_ID, "cluster.local", "/web");
	rule->deny = rule->dry_run = true;
	struct policy_decision made = decide(policy, "spiffe://cluster.local/web", "192.0.2.9", 80);
	assert_int_equal(made.outcome, POLICY_ALLOWED);
	assert_string_equal(made.dry_run_rule, "try");
	assert_null(decide(policy, "spiffe://cluster.local/db", "192.0.2.9", 80).dry_run_rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s6_the_own_trust_domain_is_allowed_without_an_allow_rule),
		cmocka_unit_test(s6_another_trust_domain_is_denied_unless_a_rule_names_it),
		cmocka_unit_test(d1_plaintext_to_a_strict_port_is_refused_whatever_the_rules_are),
		cmocka_unit_test(plaintext_to_a_permissive_port_is_allowed_without_rules),
		cmocka_unit_test(plaintext_to_a_permissive_port_is_denied_once_a_rule_names_an_identity),
		cmocka_unit_test(plaintext_matches_every_deny_rule_that_names_identities),
		cmocka_unit_test(mode_off_accepts_plaintext_without_rules),
		cmocka_unit_test(deny_wins_over_allow_whatever_their_order),
		cmocka_unit_test(n3_prefixes_and_suffixes_match_whole_segments_only),
		cmocka_unit_test(namespaces_match_exactly),
		cmocka_unit_test(networks_and_ports_narrow_a_rule),
		cmocka_unit_test(a_dry_run_rule_decides_nothing_and_is_reported_if_it_would_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
