#include "policy/policy_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_policy_is_shown_with_the_keys_of_the_settings(void **state)
{
	(void)state;
	const struct trust_domain domain = {"td.test"};
	_cleanup_(policy_unrefp) struct policy *policy = policy_new(&domain, INBOUND_STRICT);
	policy_set_port_mode(policy, 80, INBOUND_OFF);
	struct policy_rule *rule = policy_add_rule(policy, "r\x1b");
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_NAMESPACE, SPAN_LITERAL("td.test"), SPAN_LITERAL("a"), NULL),
		ERR_NONE);
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_ID, SPAN_LITERAL("td.test"), SPAN_LITERAL("/b"), NULL), ERR_NONE);
	json_t *made = policy_json(policy);
	char *text = json_dumps(made, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text,
		"{\"default_mode\":\"strict\",\"ports\":[{\"mode\":\"off\",\"port\":80}],\"rules\":[{\"action\":"
		"\"allow\","
		"\"dry_run\":false,\"name\":\"r\\\\x1b\",\"networks\":[],\"ports\":[],\"sources\":[{\"namespace\":"
		"\"td.test/a\"},{\"id\":\"spiffe://td.test/"
		"b\"}],\"unauthenticated\":false}],\"trust_domain\":\"td.test\"}");
	free(text);
	json_decref(made);
}

static void a_decision_is_shown_with_what_decided(void **state)
{
	(void)state;
	const struct trust_domain domain = {"td.test"};
	_cleanup_(policy_unrefp) struct policy *policy = policy_new(&domain, INBOUND_STRICT);
	const struct policy_source source = {0};
	struct policy_explanation explanation;
	policy_explain(policy, &source, 80, &explanation);
	json_t *made = policy_explanation_json(&explanation, &source, 80);
	assert_string_equal(json_string_value(json_object_get(made, "outcome")), "plaintext_refused");
	assert_string_equal(json_string_value(json_object_get(made, "decided_by")), "mode");
	assert_true(json_is_null(json_object_get(made, "from")));
	assert_null(json_object_get(made, "dry_run"));
	json_decref(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_is_shown_with_the_keys_of_the_settings),
		cmocka_unit_test(a_decision_is_shown_with_what_decided),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
