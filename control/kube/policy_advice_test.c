#include "control/kube/policy_advice.h"
#include "control/kube/test_policy_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct policy_entry *put(struct policy_set *set, const char *name, const char *spec)
{
	return test_policy_set_put(set, &(struct test_policy){.name = name, .spec = spec});
}

static void assert_num(struct policy_entry *entry, size_t num)
{
	policy_advice_refresh(entry, &(struct control_config){.trust_domain = test_policy_domain});
	assert_int_equal(json_array_size(entry->warnings), num);
}

#define ALLOW "{'name': 'a', 'action': 'allow', 'sources': [{'serviceAccount': 'web'}]}"
#define DENY  "{'name': 'd', 'action': 'deny', 'sources': [{'namespace': 'shop'}]}"

static void a_deny_of_the_whole_namespace_makes_an_allow_of_one_account_unreachable(void **state)
{
	struct policy_entry *allow = put(*state, "allow", "{'serviceAccounts': ['db'], 'rules': [" ALLOW "]}");
	assert_num(allow, 0);
	struct policy_entry *deny = put(*state, "deny", "{'rules': [" DENY "]}");
	assert_num(allow, 1); /* looked for again: another policy has come */
	assert_num(deny, 0);
}

static void what_applies_to_some_of_the_accounts_alone_is_no_reason(void **state)
{
	struct policy_entry *allow = put(*state, "allow", "{'serviceAccounts': ['db', 'cart'], 'rules': [" ALLOW "]}");
	put(*state, "deny", "{'serviceAccounts': ['db'], 'rules': [" DENY "]}");
	assert_num(allow, 0);
	struct policy_entry *all = put(*state, "all", "{'rules': [" ALLOW "]}");
	assert_num(all, 0);
	put(*state, "more", "{'serviceAccounts': ['cart', 'db', 'web'], 'rules': [" DENY "]}");
	assert_num(allow, 1);
	assert_num(all, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POLICY_SET_TEST(a_deny_of_the_whole_namespace_makes_an_allow_of_one_account_unreachable),
		POLICY_SET_TEST(what_applies_to_some_of_the_accounts_alone_is_no_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
