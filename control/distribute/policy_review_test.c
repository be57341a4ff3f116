#include "base/core/mem.h"
#include "control/distribute/policy_review.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void note(void *arg, const struct policy_warning *warning)
{
	char *text = arg;
	size_t len = strlen(text);
	snprintf(text + len, 1024 - len, "%s %s\n", warning->selector, warning->kind);
}

static void expect_of(const char *yaml, const char *wanted)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	char found[1024] = "";
	settings_read_text(settings, "x.yaml", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &config), ERR_NONE);
	policy_review_settings(config, note, found);
	assert_string_equal(found, wanted);
}

#define HEAD "trust_domain: td.test\nmesh: {networks: [192.0.2.0/24]}\n"

static void a_rule_is_judged_beside_the_sections_that_apply_to_the_same_workload(void **state)
{
	(void)state;
	expect_of(HEAD
		"policy: {workloads: [\n"
		"{identity_prefix: 'spiffe://td.test/ns', rules: [{name: none, action: deny, sources: "
		"[{trust_domain: td.test}]}]},\n"
		"{identity: 'spiffe://td.test/ns/a', rules: [{name: b, sources: [{id: spiffe://td.test/b}]}]},\n"
		"{identity: 'spiffe://td.test/other', rules: [{name: b, sources: [{id: spiffe://td.test/b}]}]}]}\n",
		"spiffe://td.test/ns/a unreachable\n");
}

static void a_section_that_selects_or_changes_nothing_is_found(void **state)
{
	(void)state;
	expect_of(HEAD "policy: {workloads: [{identity: 'spiffe://td.tset/a', default_mode: strict},\n"
		       "{identity: 'spiffe://td.test/b'}, {identity: 'spiffe://td.test/c', default_mode: strict}]}\n",
		"spiffe://td.tset/a foreign\nspiffe://td.test/b no_content\n");
}

static void the_ports_of_a_workload_with_services_are_known(void **state)
{
	(void)state;
	expect_of(HEAD
		"services: [{name: s, address: 192.0.2.9, identity: 'spiffe://td.test/a', ports: [{port: 80, target: "
		"8080}]}]\n"
		"policy: {workloads: [{identity: 'spiffe://td.test/a', rules: [{name: r, ports: [8080], sources: [{id: "
		"spiffe://td.test/b}]}, {name: q, ports: [80], sources: [{id: spiffe://td.test/c}]}]},\n"
		"{identity: 'spiffe://td.test/z', rules: [{name: r, ports: [80], sources: [{id: "
		"spiffe://td.test/b}]}]}]}\n",
		"spiffe://td.test/a unserved_port\n");
}

static void the_trust_domain_of_a_partner_is_known(void **state)
{
	(void)state;
	expect_of(HEAD
		"federation: {partners: [{trust_domain: friend.test, url: 'https://192.0.2.77:15013/', profile: "
		"https_web}]}\n"
		"policy: {workloads: [{identity: 'spiffe://td.test/a', rules: [{name: r, sources: [{trust_domain: "
		"friend.test}]}, {name: q, sources: [{trust_domain: freind.test}]}]}]}\n",
		"spiffe://td.test/a empty\n");
}

static void a_policy_that_sidecars_refuse_is_found(void **state)
{
	(void)state;
	_cleanup_(mem_freep) char *yaml = mem_printf(HEAD
		"policy: {workloads: [{identity: 'spiffe://td.test/a', rules: [{name: %0300d, sources: [{id: "
		"spiffe://td.test/b}]}]}]}\n",
		1);
	expect_of(yaml, "spiffe://td.test/a refused\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_is_judged_beside_the_sections_that_apply_to_the_same_workload),
		cmocka_unit_test(a_section_that_selects_or_changes_nothing_is_found),
		cmocka_unit_test(the_ports_of_a_workload_with_services_are_known),
		cmocka_unit_test(the_trust_domain_of_a_partner_is_known),
		cmocka_unit_test(a_policy_that_sidecars_refuse_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
