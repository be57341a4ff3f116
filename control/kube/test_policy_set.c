#include "control/kube/test_policy_set.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

const struct trust_domain test_policy_domain = {"cluster.local"};

static void on_gone(void *arg, struct policy_entry *entry)
{
	(void)arg;
	assert_non_null(entry->name);
}

int test_policy_set_start(void **state)
{
	struct policy_set *set = mem_new(struct policy_set);
	policy_set_init(set, &test_policy_domain, on_gone, NULL);
	*state = set;
	return 0;
}

int test_policy_set_end(void **state)
{
	policy_set_done(*state);
	mem_free(*state);
	return 0;
}

struct policy_entry *test_policy_set_put(struct policy_set *set, const struct test_policy *policy)
{
	json_t *object = test_policy_new(policy);
	assert_int_equal(policy_set_put(set, object, NULL), ERR_NONE);
	json_decref(object);
	LIST_EACH(&set->entries, struct policy_entry, entry, of_set)
		if (strcmp(entry->name, policy->name == NULL ? "cart" : policy->name) == 0)
			return entry;
	fail();
	return NULL;
}
