#include "cli/cluster/strict_ports.h"
#include "cli/cluster/test_objects.h"
#include <stdio.h>

static void add(struct strict_ports *ports, const char *space, const char *text)
{
	json_t *page = test_object(text);
	strict_ports_add(ports, space, page);
	json_decref(page);
}

static const char *detail(const struct findings *findings, unsigned i)
{
	return json_string_value(json_object_get(test_row(findings, "strict", i), "detail"));
}

static void a_port_with_plaintext_anywhere_is_not_ready(void **state)
{
	struct strict_ports *ports = strict_ports_new();
	struct findings findings;
	(void)state;
	findings_init(&findings);
	add(ports, "shop", "{'inbound_ports': {'ready_for_strict': [8080, 9090], 'plaintext_seen': []}}");
	add(ports, "shop", "{'inbound_ports': {'ready_for_strict': [8080], 'plaintext_seen': [9090]}}");
	add(ports, "idle", "{'inbound_ports': {'ready_for_strict': [], 'plaintext_seen': []}}");
	strict_ports_report(ports, 3, 4, &findings);
	assert_int_equal(findings.num_wrong, 0);
	assert_string_equal(
		detail(&findings, 0), "namespace shop: connections from the mesh alone, ready for strict: 8080");
	assert_string_equal(detail(&findings, 1), "namespace shop: plaintext was seen, strict would refuse it: 9090 "
						  "(at 1 of 2); with the annotation "
						  "handfast.dev/access-log: all the access log names the "
						  "callers");
	assert_string_equal(
		detail(&findings, 2), "3 of 4 sidecars were asked which ports had connections since their start");
	strict_ports_free(ports);
	findings_done(&findings);
}

static void a_port_that_is_strict_is_not_ready_for_it(void **state)
{
	struct strict_ports *ports = strict_ports_new();
	struct findings findings;
	(void)state;
	findings_init(&findings);
	add(ports, "shop", "{'inbound_ports': {'ready_for_strict': [], 'plaintext_seen': [], 'strict': [8080, 9090]}}");
	add(ports, "shop", "{'inbound_ports': {'ready_for_strict': [9090], 'plaintext_seen': []}}"); /* an older one */
	strict_ports_report(ports, 2, 2, &findings);
	assert_string_equal(
		detail(&findings, 0), "namespace shop: connections from the mesh alone, ready for strict: 9090");
	assert_string_equal(detail(&findings, 1), "namespace shop: strict already: 8080");
	strict_ports_free(ports);
	findings_done(&findings);
}

static void what_a_sidecar_answers_is_bounded(void **state)
{
	struct strict_ports *ports = strict_ports_new();
	struct findings findings;
	json_t *many = json_array(), *page;
	(void)state;
	findings_init(&findings);
	for (int i = -1; i < 70000; i += 7)
		json_array_append_new(many, json_integer(i));
	page = json_pack("{s:{s:o}}", "inbound_ports", "plaintext_seen", many);
	strict_ports_add(ports, "shop", page);
	add(ports, "shop", "{'inbound_ports': {'ready_for_strict': ['a', null, {}], 'plaintext_seen': 7}}");
	add(ports, "shop", "[]");
	strict_ports_report(ports, 1, 1, &findings);
	assert_true(strlen(detail(&findings, 0)) < 1100);
	assert_non_null(strstr(detail(&findings, 1), "namespace shop: "));
	assert_non_null(strstr(detail(&findings, 1), " further ports had connections"));
	assert_null(test_row(&findings, "strict", 3));
	json_decref(page);
	strict_ports_free(ports);
	findings_done(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_with_plaintext_anywhere_is_not_ready),
		cmocka_unit_test(a_port_that_is_strict_is_not_ready_for_it),
		cmocka_unit_test(what_a_sidecar_answers_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
