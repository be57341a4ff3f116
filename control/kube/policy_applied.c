#include "control/kube/policy_applied.h"
#include "control/kube/policy_object.h"

#define ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"

const char *policy_applied_text(const json_t *object)
{
	const json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");
	return json_string_value(json_object_get(annotations, ANNOTATION));
}

enum err policy_applied_check(const char *text, const struct trust_domain *trust_domain, struct why *why)
{
	struct policy_object parsed = {0};
	struct why found = {0};
	json_t *applied = json_loads(text, 0, NULL);
	enum err err = policy_object_parse(applied, trust_domain, &parsed, &found);
	policy_object_done(&parsed);
	json_decref(applied);
	if (err != ERR_UNSUPPORTED)
		return ERR_NONE;
	return why_set(why, ERR_UNSUPPORTED, "members that the definition of policies has",
		"correct it, and apply it again without --validate=false",
		"%.180s as it was applied: the API server has dropped it", found.got);
}
