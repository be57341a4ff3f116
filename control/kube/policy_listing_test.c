#include "control/kube/policy_listing.h"
#include "control/kube/test_policy_set.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct control_config settings = {.trust_domain = {"cluster.local"}};

static char seen[1024];

static void on_listed(void *arg, const struct policy_listed *listed)
{
	(void)arg;
	size_t len = strlen(seen);
	snprintf(seen + len, sizeof seen - len, "%s %zu %u/%u %s\n", listed->name, listed->num_accounts,
		listed->num_in_force, listed->num_sidecars,
		listed->workload == NULL ? "never valid" : err_label(listed->refusal->err));
}

static void on_warned(void *arg, const char *name, const char *kind, const char *detail)
{
	(void)arg;
	size_t len = strlen(seen);
	snprintf(seen + len, sizeof seen - len, "%s %s %s\n", name, kind, detail);
}

static void each_policy_has_its_sidecars_and_whether_it_is_accepted(void **state)
{
	test_policy_set_put(*state, &(struct test_policy){.name = "good",
					    .spec = "{'serviceAccounts': ['a'], 'mode': 'strict'}",
					    .status = "{'sidecars': 3, 'sidecarsInForce': 2}"});
	test_policy_set_put(*state, &(struct test_policy){.name = "bad", .spec = "{'mode': 'lax'}"});
	seen[0] = '\0';
	policy_listing_each(*state, on_listed, NULL);
	assert_string_equal(seen, "shop/good 1 2/3 none\nshop/bad 0 0/0 never valid\n");
}

static void a_member_that_the_api_server_has_dropped_is_a_warning_until_it_is_applied_without(void **state)
{
	static const char applied[] = "{\"metadata\": {\"name\": \"cart\", \"namespace\": \"shop\"}, \"spec\": "
				      "{\"mode\": \"strict\", \"modes\": 1}}";
	test_policy_set_put(*state, &(struct test_policy){.spec = "{'mode': 'strict'}", .applied = applied});
	seen[0] = '\0';
	policy_listing_warnings(*state, &settings, on_warned, NULL);
	assert_string_equal(seen, "shop/cart dropped_member spec has the member 'modes' as it was applied: "
				  "the API server has dropped it\n");
	test_policy_set_put(*state, &(struct test_policy){.spec = "{'mode': 'strict'}", .applied = "{}"});
	seen[0] = '\0';
	policy_listing_warnings(*state, &settings, on_warned, NULL);
	assert_string_equal(seen, "");
}

static void what_is_not_accepted_is_a_warning(void **state)
{
	test_policy_set_put(*state, &(struct test_policy){.name = "bad", .spec = "{'mode': 'lax'}"});
	seen[0] = '\0';
	policy_listing_warnings(*state, &settings, on_warned, NULL);
	assert_string_equal(seen, "shop/bad refused spec has the mode 'lax'\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POLICY_SET_TEST(each_policy_has_its_sidecars_and_whether_it_is_accepted),
		POLICY_SET_TEST(a_member_that_the_api_server_has_dropped_is_a_warning_until_it_is_applied_without),
		POLICY_SET_TEST(what_is_not_accepted_is_a_warning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
