/* policy show, policy list: what the sidecars of a workload get, the sections of the settings and the objects of a
 * cluster. */
#include "base/core/mem.h"
#include "control/distribute/distribute.h"
#include "control/distribute/encode_policy.h"
#include "control/serve/operator_private.h"
#include "control/serve/policy_warnings.h"

#define RESPONSE_MAX (16u * 1024 * 1024)

/* --- show --- */

struct counting {
	const struct spiffe_id *id;
	uint32_t num_sidecars, num_in_force;
};

static void count_one(void *arg, const struct spiffe_id *id, bool is_in_force)
{
	struct counting *counting = arg;
	if (!spiffe_id_eq(id, counting->id))
		return;
	counting->num_sidecars++;
	counting->num_in_force += is_in_force;
}

enum err operator_policy_show(struct operator_request *request, struct span bytes, struct why *why)
{
	const struct distributor *distributor = request->serve->options.distributor;
	_cleanup_(buf_done) struct buf policy = BUF_INIT(RESPONSE_MAX), message = BUF_INIT(RESPONSE_MAX);
	struct counting counting = {.id = &request->id};
	RETURN_IF_ERR(policy_show_request_parse(bytes, &request->id, why));
	if (distributor_policy_of(distributor, &request->id, &policy) == ERR_UNAVAILABLE)
		return why_set(why, ERR_UNAVAILABLE, "the policies of the cluster",
			"check that the API server answers: `handfast status`", "they have not been received yet");
	distributor_each_sidecar(distributor, count_one, &counting);
	const struct policy_answer answer = {.trust_domain = distributor_config(distributor)->trust_domain.name,
		.policy = buf_span(&policy),
		.num_sidecars = counting.num_sidecars,
		.num_in_force = counting.num_in_force};
	RETURN_IF_ERR(policy_show_encode(&answer, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

/* --- list --- */

/* Of the settings alone: those of objects are counted in their status. */
static void count_in_sections(void *arg, const struct spiffe_id *id, bool is_in_force)
{
	const struct policy_list *list = arg;
	for (size_t i = 0; i < list->num_sections; i++) {
		struct policy_section *section = &list->sections[i];
		if (!encode_policy_names(section->workload, id))
			continue;
		section->num_sidecars++;
		section->num_in_force += is_in_force;
	}
}

static void on_warning(void *arg, const struct policy_warning *warning)
{
	policy_list_add_warning(arg, warning->selector, warning->kind, &warning->detail);
}

static void on_listed(void *arg, const struct policy_listed *policy)
{
	policy_list_add_object(arg, policy);
}

static void on_warned(void *arg, const char *name, const char *kind, const char *detail)
{
	_cleanup_(mem_freep) char *selector = mem_printf("policy %s", name);
	struct why why;
	(void)why_set(
		&why, ERR_CONFIG, "a policy that does what it seems to", "change it, and apply it again", "%s", detail);
	policy_list_add_warning(arg, selector, kind, &why);
}

enum err operator_policy_list(struct operator_request *request)
{
	const struct distributor *distributor = request->serve->options.distributor;
	const struct control_config *config = distributor_config(distributor);
	const struct policy_source *source = distributor_policies(distributor);
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	struct policy_list list = {.default_mode = config->default_mode};
	for (size_t i = 0; i < config->num_workloads; i++)
		policy_list_add_section(&list, &config->workloads[i]);
	distributor_each_sidecar(distributor, count_in_sections, &list);
	policy_warnings_each(config, request->serve->options.store, on_warning, &list);
	if (source->list != NULL)
		source->list(source->arg, on_listed, &list);
	if (source->warn != NULL)
		source->warn(source->arg, on_warned, &list);
	enum err err = policy_list_encode(&list, &message);
	policy_list_done(&list);
	RETURN_IF_ERR(err);
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}
