#include "base/core/mem.h"
#include "control/kube/policy_applied.h"
#include "control/kube/test_policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct trust_domain domain = {"cluster.local"};

static enum err check(const char *spec, struct why *why)
{
	json_t *object = test_policy_new(&(struct test_policy){.spec = spec});
	char *text = json_dumps(object, 0);
	enum err err = policy_applied_check(text, &domain, why);
	mem_free(text);
	json_decref(object);
	return err;
}

static void a_member_that_was_dropped_is_named(_unused_ void **state)
{
	struct why why = {0};
	assert_int_equal(check("{'mode': 'strict', 'rules': [{'name': 'a', 'action': 'allow', 'source': []}]}", &why),
		ERR_UNSUPPORTED);
	assert_string_equal(
		why.got, "spec.rules[0] has the member 'source' as it was applied: the API server has dropped it");
}

static void all_else_is_judged_by_what_was_kept(_unused_ void **state)
{
	struct why why = {0};
	assert_int_equal(check("{'mode': 'strict'}", &why), ERR_NONE);
	assert_int_equal(check("{'mode': 'lax'}", &why), ERR_NONE);
	assert_int_equal(policy_applied_check("", &domain, &why), ERR_NONE);
	assert_int_equal(policy_applied_check("[1]", &domain, &why), ERR_NONE);
}

static void the_annotation_is_that_of_kubectl(_unused_ void **state)
{
	json_t *object =
		test_json("{'metadata': {'annotations': {'kubectl.kubernetes.io/last-applied-configuration': 'x'}}}");
	assert_string_equal(policy_applied_text(object), "x");
	json_decref(object);
	object = test_json("{'metadata': {'annotations': {'kubectl.kubernetes.io/last-applied-configuration': 1}}}");
	assert_null(policy_applied_text(object));
	json_decref(object);
	assert_null(policy_applied_text(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_member_that_was_dropped_is_named),
		cmocka_unit_test(all_else_is_judged_by_what_was_kept),
		cmocka_unit_test(the_annotation_is_that_of_kubectl),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
