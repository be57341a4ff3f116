#include "control/kube/test_policy.h"
#include "base/core/check.h"
#include "base/core/mem.h"

json_t *test_json(const char *text)
{
	_cleanup_(mem_freep) char *copy = mem_strdup(text);
	for (char *at = copy; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	json_t *value = json_loads(copy, JSON_DECODE_ANY, NULL);
	CHECK(value != NULL);
	return value;
}

json_t *test_policy_new(const struct test_policy *policy)
{
	const char *name = policy->name == NULL ? "cart" : policy->name;
	_cleanup_(mem_freep) char *created = mem_printf("2026-11-%02uT04:06:50Z", policy->day == 0 ? 1 : policy->day);
	_cleanup_(mem_freep) char *uid = policy->uid == NULL ? mem_printf("uid-of-%s", name) : mem_strdup(policy->uid);
	json_t *object = json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:o}", "metadata", "namespace",
		policy->namespace_ == NULL ? "shop" : policy->namespace_, "name", name, "uid", uid, "creationTimestamp",
		created, "generation", policy->generation == 0 ? 1 : policy->generation, "spec",
		test_json(policy->spec));
	CHECK(object != NULL);
	if (policy->status != NULL)
		json_object_set_new(object, "status", test_json(policy->status));
	if (policy->applied != NULL)
		json_object_set_new(json_object_get(object, "metadata"), "annotations",
			json_pack("{s:s}", "kubectl.kubernetes.io/last-applied-configuration", policy->applied));
	return object;
}
