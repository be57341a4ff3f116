#include "cli/cluster/policies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void policies_that_are_refused_or_have_warnings_are_found(void **state)
{
	(void)state;
	static const char text[] =
		"[{\"metadata\": {\"namespace\": \"shop\", \"name\": \"a\"}, \"status\": {\"accepted\": true}},"
		"{\"metadata\": {\"namespace\": \"shop\", \"name\": \"b\"}, \"status\": {\"accepted\": false, "
		"\"message\": "
		"\"no mode\"}},"
		"{\"metadata\": {\"namespace\": \"shop\", \"name\": \"c\"}, \"status\": {\"accepted\": true, "
		"\"warnings\": "
		"[\"the rule c/x adds nothing\"]}},"
		"{\"metadata\": {\"namespace\": \"shop\", \"name\": \"new\"}}]";
	json_t *policies = json_loads(text, 0, NULL);
	struct findings findings;
	findings_init(&findings);
	check_policies(&findings, policies);
	assert_int_equal(findings.num_wrong, 2);
	char *rows = json_dumps(findings.rows, 0);
	assert_non_null(strstr(rows, "shop/b: no mode"));
	assert_non_null(strstr(rows, "shop/c: the rule c/x adds nothing"));
	free(rows);
	findings_done(&findings);
	json_decref(policies);
}

static void of_many_policies_the_further_ones_are_counted(void **state)
{
	(void)state;
	json_t *policies = json_array();
	struct findings findings;
	findings_init(&findings);
	for (int i = 0; i < 53; i++)
		json_array_append_new(
			policies, json_pack("{s:{s:s, s:s}, s:{s:b, s:s}}", "metadata", "namespace", "shop", "name",
					  "a", "status", "accepted", 0, "message", "no mode"));
	check_policies(&findings, policies);
	assert_int_equal(json_array_size(findings.rows), 51);
	char *last = json_dumps(json_array_get(findings.rows, 50), 0);
	assert_non_null(strstr(last, "3 further policies"));
	free(last);
	findings_done(&findings);
	json_decref(policies);
}

static void policies_that_are_well_are_one_row(void **state)
{
	(void)state;
	json_t *policies = json_loads("[{\"metadata\": {\"namespace\": \"shop\", \"name\": \"a\"}}]", 0, NULL);
	struct findings findings;
	findings_init(&findings);
	check_policies(&findings, json_array_get(policies, 9)); /* none */
	assert_int_equal(json_array_size(findings.rows), 0);
	check_policies(&findings, policies);
	assert_int_equal(findings.num_wrong, 0);
	assert_int_equal(json_array_size(findings.rows), 1);
	findings_done(&findings);
	json_decref(policies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_that_are_refused_or_have_warnings_are_found),
		cmocka_unit_test(of_many_policies_the_further_ones_are_counted),
		cmocka_unit_test(policies_that_are_well_are_one_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
