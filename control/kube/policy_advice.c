#include "control/kube/policy_advice.h"
#include "base/core/mem.h"
#include <string.h>

/* Whether `other` applies to every account that the entry applies to. */
static bool applies_wherever(const struct policy_entry *other, const struct policy_entry *entry)
{
	if (other->object.num_accounts == 0 || other == entry)
		return true;
	if (entry->object.num_accounts == 0)
		return false;
	for (size_t i = 0; i < entry->object.num_accounts; i++)
		if (!policy_object_has_account(&other->object, span_of_str(entry->object.accounts[i])))
			return false;
	return true;
}

void policy_advice_each(
	const struct policy_entry *entry, const struct control_config *settings, policy_warning_fn *each, void *arg)
{
	const struct trust_domain *trust_domain = &settings->trust_domain;
	struct control_config config = {.trust_domain = *trust_domain, .default_mode = PORT_MODE_PERMISSIVE};
	const char *account = entry->object.num_accounts == 0 ? "default" : entry->object.accounts[0];
	_cleanup_(mem_freep) char *text =
		mem_printf("spiffe://%s/ns/%s/sa/%s", trust_domain->name, entry->namespace_->name, account);
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct policy_found found = {0};
	size_t own = 0;
	config.federation.partners = settings->federation.partners;
	config.federation.num_partners = settings->federation.num_partners;
	if (!entry->is_in_force || spiffe_id_parse(span_of_str(text), &id, NULL) != ERR_NONE)
		return;
	LIST_EACH(&entry->namespace_->policies, struct policy_entry, other, of_namespace) {
		if (!other->is_in_force || !applies_wherever(other, entry))
			continue;
		if (other == entry)
			own = found.num;
		found.list[found.num++] = &other->object.workload;
	}
	policy_review_found(&(struct mesh_state){.config = &config, .found = &found, .id = &id}, own, each, arg);
}

static void on_warning(void *arg, const struct policy_warning *warning)
{
	json_t *list = arg;
	if (json_array_size(list) < POLICY_ADVICE_MAX)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "kind", warning->kind, "detail", warning->detail.got));
}

void policy_advice_refresh(struct policy_entry *entry, const struct control_config *settings)
{
	if (entry->warnings != NULL)
		return;
	entry->warnings = json_array();
	if (entry->dropped.err != ERR_NONE)
		on_warning(entry->warnings, &(struct policy_warning){entry->name, "dropped_member", entry->dropped});
	policy_advice_each(entry, settings, on_warning, entry->warnings);
}
