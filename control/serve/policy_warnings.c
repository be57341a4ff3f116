#include "control/serve/policy_warnings.h"
#include "base/core/mem.h"
#include "control/registry/svid_holders.h"

struct selecting {
	const struct control_config *config;
	bool *is_used; /* per section */
	size_t num_svid_holders;
};

static void on_svid_holder(void *arg, const struct svid_holder *svid_holder)
{
	struct selecting *selecting = arg;
	selecting->num_svid_holders++;
	for (size_t i = 0; i < selecting->config->num_workloads; i++)
		if (!selecting->is_used[i])
			selecting->is_used[i] = encode_policy_names(&selecting->config->workloads[i], &svid_holder->id);
}

/* A new mesh has no workloads yet, and its policy may come first. */
static void unused_sections(
	const struct control_config *config, struct store *store, policy_warning_fn *each, void *arg)
{
	struct selecting selecting = {config, mem_calloc(config->num_workloads + 1, sizeof(bool)), 0};
	svid_holders_list(store, on_svid_holder, &selecting);
	for (size_t i = 0; i < config->num_workloads && selecting.num_svid_holders > 0; i++) {
		struct policy_warning warning = {config->workloads[i].identity, "no_workload", {0}};
		if (selecting.is_used[i])
			continue;
		(void)why_set(&warning.detail, ERR_CONFIG, "the identity of a workload that has attested",
			"correct the section's identity, or leave it for a workload to come",
			"the section selects no workload");
		each(arg, &warning);
	}
	mem_free(selecting.is_used);
}

void policy_warnings_each(const struct control_config *config, struct store *store, policy_warning_fn *each, void *arg)
{
	policy_review_settings(config, each, arg);
	unused_sections(config, store, each, arg);
}
