#include "control/kube/policy_listing.h"
#include "base/core/mem.h"
#include "control/kube/policy_advice.h"
#include "control/kube/policy_status.h"

static char *name_of(const struct policy_entry *entry)
{
	return mem_printf("%s/%s", entry->namespace_->name, entry->name);
}

/* Of what is not accepted nothing may be wrong but the number of older ones. */
static struct why refusal_of(const struct policy_entry *entry)
{
	struct why refusal = entry->refusal;
	if (refusal.err == ERR_NONE && !entry->is_in_force)
		policy_set_explain_limit(&refusal);
	return refusal;
}

void policy_listing_each(const struct policy_set *set, policy_listed_fn *each, void *arg)
{
	LIST_EACH(&set->entries, struct policy_entry, entry, of_set) {
		_cleanup_(mem_freep) char *name = name_of(entry);
		struct why refusal = refusal_of(entry);
		const struct policy_listed listed = {.name = name,
			.workload = entry->has_object ? &entry->object.workload : NULL,
			.accounts = (const char *const *)entry->object.accounts,
			.num_accounts = entry->object.num_accounts,
			.refusal = &refusal,
			.num_sidecars = policy_status_number(entry->status, "sidecars"),
			.num_in_force = policy_status_number(entry->status, "sidecarsInForce")};
		each(arg, &listed);
	}
}

void policy_listing_warnings(
	struct policy_set *set, const struct control_config *settings, policy_warned_fn *each, void *arg)
{
	LIST_EACH(&set->entries, struct policy_entry, entry, of_set) {
		_cleanup_(mem_freep) char *name = name_of(entry);
		struct why refusal = refusal_of(entry);
		if (refusal.err != ERR_NONE)
			each(arg, name, "refused", refusal.got);
		policy_advice_refresh(entry, settings);
		for (size_t i = 0; i < json_array_size(entry->warnings); i++) {
			const json_t *warning = json_array_get(entry->warnings, i);
			each(arg, name, json_string_value(json_object_get(warning, "kind")),
				json_string_value(json_object_get(warning, "detail")));
		}
	}
}
