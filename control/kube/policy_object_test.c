#include "base/core/mem.h"
#include "control/kube/policy_object.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static enum err parse(const char *spec, struct policy_object *out, struct why *why)
{
	struct trust_domain domain;
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("cluster.local"), &domain, NULL), ERR_NONE);
	_cleanup_(mem_freep) char *text =
		mem_printf("{'metadata': {'name': 'cart', 'namespace': 'shop'}, 'spec': %s}", spec);
	for (char *at = text; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	json_t *object = json_loads(text, 0, NULL);
	assert_non_null(object);
	enum err err = policy_object_parse(object, &domain, out, why);
	json_decref(object);
	return err;
}

static void assert_refused(const char *spec, enum err expected, const char *part)
{
	struct policy_object policy = {0};
	struct why why = {0};
	char text[700];
	assert_int_equal(parse(spec, &policy, &why), expected);
	assert_null(policy.workload.identity);
	assert_true(why.expected[0] != '\0' && why.fix[0] != '\0');
	if (strstr(why_format(&why, text, sizeof(text)), part) == NULL)
		fail_msg("'%s' is not in: %s", part, text);
}

static void reads_what_the_settings_file_has(void **state)
{
	(void)state;
	struct policy_object policy = {0};
	assert_int_equal(parse("{'serviceAccounts': ['web', 'cart', 'web'], 'mode': 'strict',"
			       "'ports': [{'port': 9090, 'mode': 'off'}],"
			       "'rules': [{'name': 'front', 'action': 'allow', 'dryRun': true, 'ports': [8080],"
			       "'networks': ['192.0.2.0/24', '2001:db8::/32'], 'sources': ["
			       "{'id': 'spiffe://other.test/x'}, {'trustDomain': 'other.test'}, {'namespace': 'ops'},"
			       "{'namespace': 'ops', 'serviceAccount': 'prom'}, {'serviceAccount': 'front'}]},"
			       "{'name': 'legacy', 'action': 'allow', 'unauthenticated': true}]}",
				 &policy, NULL),
		ERR_NONE);
	const struct config_workload *workload = &policy.workload;
	assert_string_equal(workload->identity, "spiffe://cluster.local/ns/shop/sa");
	assert_true(workload->prefix && workload->has_mode && workload->mode == PORT_MODE_STRICT);
	assert_int_equal(policy.num_accounts, 2);
	assert_string_equal(policy.accounts[0], "cart");
	assert_int_equal(workload->num_ports, 1);
	assert_true(workload->ports[0].port == 9090 && workload->ports[0].mode == PORT_MODE_OFF);
	assert_int_equal(workload->num_rules, 2);
	const struct config_rule *rule = &workload->rules[0];
	assert_string_equal(rule->name, "cart/front");
	assert_true(!rule->deny && rule->dry_run && !rule->unauthenticated && workload->rules[1].unauthenticated);
	static const struct config_source expected[] = {{SOURCE_ID, "spiffe://other.test/x"},
		{SOURCE_TRUST_DOMAIN, "other.test"}, {SOURCE_NAMESPACE, "cluster.local/ops"},
		{SOURCE_ID, "spiffe://cluster.local/ns/ops/sa/prom"},
		{SOURCE_ID, "spiffe://cluster.local/ns/shop/sa/front"}};
	assert_int_equal(rule->num_sources, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(rule->sources[i].kind, expected[i].kind);
		assert_string_equal(rule->sources[i].text, expected[i].text);
	}
	assert_int_equal(rule->num_networks, 2);
	assert_int_equal(rule->num_ports, 1);
	policy_object_done(&policy);
}

static void subjects_are_the_accounts_it_names_or_all(void **state)
{
	(void)state;
	struct policy_object policy = {0};
	assert_int_equal(parse("{'serviceAccounts': ['web', 'a', 'cart'], 'mode': 'off'}", &policy, NULL), ERR_NONE);
	assert_true(policy_object_has_account(&policy, SPAN_LITERAL("a")));
	assert_true(policy_object_has_account(&policy, SPAN_LITERAL("web")));
	assert_false(policy_object_has_account(&policy, SPAN_LITERAL("car")));
	assert_false(policy_object_has_account(&policy, SPAN_LITERAL("cart2")));
	assert_false(policy_object_has_account(&policy, SPAN_LITERAL("")));
	policy_object_done(&policy);
	assert_int_equal(parse("{'mode': 'off'}", &policy, NULL), ERR_NONE);
	assert_true(policy_object_has_account(&policy, SPAN_LITERAL("any")));
	policy_object_done(&policy);
}

static void K12_a_policy_names_no_subject_of_another_namespace(void **state)
{
	(void)state;
	static const char *const others[] = {
		"'../ops/sa/x'", "'ops/x'", "''", "'spiffe://cluster.local/ns/ops/sa/x'", "'.x'", "7", "'X'"};
	char spec[128];
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(spec, sizeof(spec), "{'mode': 'off', 'serviceAccounts': [%s]}", others[i]);
		assert_refused(spec, ERR_MALFORMED, "own namespace");
	}
	assert_refused(
		"{'mode': 'off', 'identity': 'spiffe://cluster.local/ns/ops/sa/x'}", ERR_UNSUPPORTED, "identity");
}

static void K13_what_it_does_not_know_is_not_left_out(void **state)
{
	(void)state;
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'methods': ['GET']}]}", ERR_UNSUPPORTED, "methods");
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'sources': [{'cluster': 'b'}]}]}", ERR_UNSUPPORTED,
		"rules[0].sources[0] has the member 'cluster'");
	assert_refused("{'mode': 'off', 'ports': [{'port': 1, 'mode': 'off', 'name': 'x'}]}", ERR_UNSUPPORTED, "name");
}

static void refuses_what_would_match_more_than_intended(void **state)
{
	(void)state;
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'sources': []}]}", ERR_MALFORMED, "sources");
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'networks': []}]}", ERR_MALFORMED, "networks");
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'ports': []}]}", ERR_MALFORMED, "ports");
	assert_refused("{'mode': 'off', 'serviceAccounts': []}", ERR_MALFORMED, "serviceAccounts");
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'sources': [{}]}]}", ERR_MALFORMED, "exactly one");
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'sources': [{'id': 'spiffe://a/b', 'namespace': "
		       "'c'}]}]}",
		ERR_MALFORMED, "exactly one");
	assert_refused("{'rules': [{'name': 'a', 'action': 'deny', 'unauthenticated': true}]}", ERR_MALFORMED,
		"unauthenticated");
	assert_refused("{'rules': [{'name': 'a', 'action': 'allow', 'unauthenticated': true, 'sources': "
		       "[{'serviceAccount': 'b'}]}]}",
		ERR_MALFORMED, "unauthenticated");
}

static void refuses_what_is_malformed(void **state)
{
	(void)state;
	static const char *const specs[] = {"7", "{}", "{'mode': 'hard'}", "{'mode': false}",
		"{'ports': [{'port': 80}]}", "{'ports': [{'port': 0, 'mode': 'off'}]}",
		"{'ports': [{'port': 65536, 'mode': 'off'}]}",
		"{'ports': [{'port': 80, 'mode': 'off'}, {'port': 80, 'mode': 'strict'}]}", "{'rules': {}}",
		"{'rules': [{'action': 'allow'}]}", "{'rules': [{'name': 'a'}]}",
		"{'rules': [{'name': 'a', 'action': 'log'}]}",
		"{'rules': [{'name': 'a', 'action': 'deny', 'dryRun': 'yes'}]}",
		"{'rules': [{'name': 'a', 'action': 'deny', 'ports': [1.5]}]}",
		"{'rules': [{'name': 'a', 'action': 'deny', 'networks': ['192.0.2.1/24']}]}",
		"{'rules': [{'name': 'a', 'action': 'deny', 'sources': [{'id': 'cluster.local/x'}]}]}",
		"{'rules': [{'name': 'a', 'action': 'deny', 'sources': [{'trustDomain': 'A b'}]}]}",
		"{'rules': [{'name': 'a', 'action': 'deny', 'sources': [{'namespace': 'a.b'}]}]}",
		"{'rules': [{'name': 'a', 'action': 'deny', 'sources': [{'namespace': 'a/b'}]}]}"};
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		assert_refused(specs[i], ERR_MALFORMED, "");
	assert_refused("{'ports': [{'port': 80, 'mode': false}]}", ERR_MALFORMED, "a text in quotes, such as \"off\"");
}

static void has_the_limits_that_the_definition_states(void **state)
{
	(void)state;
	struct policy_object policy = {0};
	char list[65 * 40] = "", spec[sizeof(list) + 64], name[128];
	for (int i = 0; i < 65; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s{'name': 'r%d', 'action': 'deny'}",
			i == 0 ? "" : ", ", i);
	snprintf(spec, sizeof(spec), "{'rules': [%s]}", list);
	assert_refused(spec, ERR_LIMIT, "64");
	strrchr(list, '{')[-2] = '\0';
	snprintf(spec, sizeof(spec), "{'rules': [%s]}", list);
	assert_int_equal(parse(spec, &policy, NULL), ERR_NONE);
	policy_object_done(&policy);
	memset(name, 'n', 101);
	name[101] = '\0';
	snprintf(spec, sizeof(spec), "{'rules': [{'name': '%s', 'action': 'deny'}]}", name);
	assert_refused(spec, ERR_MALFORMED, "100");
}

static void an_object_without_a_namespace_is_none(void **state)
{
	(void)state;
	struct policy_object policy = {0};
	struct trust_domain domain = {.name = "cluster.local"};
	struct why why = {0};
	static const char *const texts[] = {"{}", "[]", "{\"metadata\": {\"name\": \"a\"}}",
		"{\"metadata\": {\"name\": \"a\", \"namespace\": \"b/c\"}}"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *object = json_loads(texts[i], 0, NULL);
		assert_int_equal(policy_object_parse(object, &domain, &policy, &why), ERR_MALFORMED);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_settings_file_has),
		cmocka_unit_test(subjects_are_the_accounts_it_names_or_all),
		cmocka_unit_test(K12_a_policy_names_no_subject_of_another_namespace),
		cmocka_unit_test(K13_what_it_does_not_know_is_not_left_out),
		cmocka_unit_test(refuses_what_would_match_more_than_intended),
		cmocka_unit_test(refuses_what_is_malformed),
		cmocka_unit_test(has_the_limits_that_the_definition_states),
		cmocka_unit_test(an_object_without_a_namespace_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
