#include "cli/cluster/policies.h"
#include "cli/cluster/checks.h"

enum { ROWS_MAX = 50 }; /* that are shown */

static const char *name_of(const json_t *policy, char out[340])
{
	const json_t *meta = json_object_get(policy, "metadata");
	snprintf(out, 340, "%.63s/%.253s", checks_text(meta, "namespace"), checks_text(meta, "name"));
	return out;
}

/* False: it is well. A policy without a status is new. */
static bool judge(const json_t *policy, struct why *out)
{
	const json_t *status = json_object_get(policy, "status"), *warnings = json_object_get(status, "warnings");
	char name[340];
	if (json_is_false(json_object_get(status, "accepted"))) {
		(void)why_set(out, ERR_MALFORMED, "a policy that is accepted", "correct it: see its status.message",
			"%.120s: %.110s", name_of(policy, name), checks_text(status, "message"));
		return true;
	}
	const char *first = json_string_value(json_array_get(warnings, 0));
	if (first == NULL)
		return false;
	(void)why_set(out, ERR_CONFIG, "rules that each decide something", "see its status.warnings, and change it",
		"%.90s: %.150s", name_of(policy, name), first);
	return true;
}

void check_policies(struct findings *findings, const json_t *policies)
{
	unsigned num = 0;
	for (size_t i = 0; i < json_array_size(policies); i++) {
		struct why why = {0};
		if (judge(json_array_get(policies, i), &why) && num++ < ROWS_MAX)
			findings_wrong(findings, "policy", &why);
	}
	if (num > ROWS_MAX) {
		struct why why = {0};
		(void)why_set(&why, ERR_CONFIG, "policies that are accepted and whose rules each decide something",
			"correct those above; `handfast policy list` shows all", "%u further policies", num - ROWS_MAX);
		findings_wrong(findings, "policy", &why);
	}
	if (num == 0 && json_array_size(policies) > 0)
		findings_well(findings, "policy", "%zu policies, each accepted and without warnings",
			json_array_size(policies));
}
