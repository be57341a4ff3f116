#include "control/kube/inject_private.h"

#include "base/core/mem.h"
#include <string.h>

enum { PROBES_MAX = 64 * 1024 };

static void move_first(struct injection *injection, size_t from)
{
	if (from == 0)
		return;
	json_t *operation = json_pack("{s:s, s:o, s:o}", "op", "move", "from",
		json_sprintf("/spec/initContainers/%zu", from), "path", json_string("/spec/initContainers/0"));
	CHECK(operation != NULL && json_array_append_new(injection->out->patch, operation) == 0);
}

static void mark(struct injection *injection)
{
	const json_t *annotations = json_object_get(injection->metadata, "annotations");
	if (!json_is_object(annotations))
		inject_put(injection, "add", json_object(), "/metadata/annotations");
	inject_put(injection, "add", json_string("true"), "/metadata/annotations/handfast.dev~1injected");
}

static void annotate(struct injection *injection)
{
	mark(injection);
	inject_put(injection, "add", json_string(injection->options->version),
		"/metadata/annotations/handfast.dev~1version");
}

static void add_containers(struct injection *injection)
{
	if (!json_is_array(json_object_get(injection->spec, "initContainers")))
		inject_put(injection, "add", json_array(), "/spec/initContainers");
	inject_put(injection, "add", inject_sidecar_container(injection), "/spec/initContainers/0");
	if (!injection->options->has_cni)
		inject_put(injection, "add", inject_init_container(injection), "/spec/initContainers/0");
}

/* --- a pod that is injected already --- */

/* Probes of containers that another webhook has added since. */
static void add_probes(struct injection *injection, size_t sidecar, const json_t *container)
{
	const json_t *env = json_object_get(container, "env"), *item;
	size_t i;
	if (buf_len(&injection->probes) == 0)
		return;
	json_array_foreach(env, i, item)
	{
		if (strcmp(inject_text(item, "name"), INJECT_PROBES) != 0)
			continue;
		json_t *joined = json_sprintf("%s%s", inject_text(item, "value"), buf_cstr(&injection->probes));
		inject_put(injection, "replace", joined, "/spec/initContainers/%zu/env/%zu/value", sidecar, i);
		return;
	}
	inject_put(injection, "add",
		json_pack("{s:s, s:s}", "name", INJECT_PROBES, "value", buf_cstr(&injection->probes)),
		"/spec/initContainers/%zu/env/-", sidecar);
}

/* A pod that was copied from a cluster has the control plane's former address, or another cluster's. */
static void refresh_env(struct injection *injection, size_t sidecar, const json_t *container)
{
	const struct inject_options *options = injection->options;
	const char *const current[][2] = {{"HANDFAST_SIDECAR_TRUST_DOMAIN", options->trust_domain},
		{"HANDFAST_SIDECAR_CONTROL_ADDRESS", options->control_address},
		{"HANDFAST_SIDECAR_CONTROL_BOOTSTRAP_ROOT_SHA256", options->bootstrap_root_sha256}};
	const json_t *env = json_object_get(container, "env"), *item;
	size_t i;
	json_array_foreach(env, i, item)
	{
		for (size_t j = 0; j < sizeof(current) / sizeof(current[0]); j++)
			if (strcmp(inject_text(item, "name"), current[j][0]) == 0 &&
				strcmp(inject_text(item, "value"), current[j][1]) != 0)
				inject_put(injection, "add", json_string(current[j][1]),
					"/spec/initContainers/%zu/env/%zu/value", sidecar, i);
	}
}

/* A webhook that knows no native sidecars drops the restartPolicy; the pod's other containers would then never start.
 */
static void repair_restart_policy(struct injection *injection, size_t sidecar, const json_t *container)
{
	if (strcmp(inject_text(container, "restartPolicy"), "Always") == 0)
		return;
	inject_warn(injection,
		"restartPolicy: Always of the sidecar was missing, perhaps dropped by another webhook; it "
		"is back");
	inject_put(injection, "add", json_string("Always"), "/spec/initContainers/%zu/restartPolicy", sidecar);
}

/* An init container that runs before the rules are there connects in plaintext. */
static void repair_places(struct injection *injection, size_t sidecar)
{
	size_t init = 0, wanted = 0;
	bool has_init = inject_find_init(injection, INJECT_INIT, &init);
	if (has_init || !injection->options->has_cni)
		wanted = 1;
	if (has_init && init == 0 && sidecar == wanted)
		return;
	if (!has_init && wanted == 0 && sidecar == 0)
		return;
	move_first(injection, sidecar);
	if (has_init)
		move_first(injection, init < sidecar ? init + 1 : init);
	else if (!injection->options->has_cni)
		inject_put(injection, "add", inject_init_container(injection), "/spec/initContainers/0");
}

static void repair(struct injection *injection)
{
	size_t sidecar = 0;
	CHECK(inject_find_init(injection, INJECT_SIDECAR, &sidecar));
	const json_t *container = json_array_get(json_object_get(injection->spec, "initContainers"), sidecar);
	if (!inject_has_mark(injection))
		mark(injection);
	repair_restart_policy(injection, sidecar, container);
	if (!json_is_array(json_object_get(container, "env"))) /* once, before what is added to it */
		inject_put(injection, "add", json_array(), "/spec/initContainers/%zu/env", sidecar);
	inject_refresh_wants(injection, sidecar);
	refresh_env(injection, sidecar, container);
	add_probes(injection, sidecar, container);
	inject_repair_workload_api(injection, sidecar, container);
	inject_warn_of_agent(injection, container);
	repair_places(injection, sidecar);
}

/* --- the whole --- */

static enum err change(struct injection *injection)
{
	bool again = inject_is_injected(injection);
	RETURN_IF_ERR(inject_check(injection, again));
	inject_rewrite_probes(injection);
	inject_share_workload_api(injection);
	if (again) {
		repair(injection);
	} else {
		annotate(injection);
		add_containers(injection);
	}
	inject_add_volumes(injection);
	if (json_array_size(injection->out->patch) > 0)
		injection->out->verdict = INJECT_CHANGE;
	return ERR_NONE;
}

void inject_pod(const json_t *pod, const struct inject_namespace *ns, const struct inject_options *options,
	struct inject_result *out)
{
	CHECK(ns->name != NULL && options->sidecar_image != NULL && options->init_image != NULL);
	CHECK(options->version != NULL && options->trust_domain != NULL && options->own_namespace != NULL);
	CHECK(options->bootstrap_root_sha256 != NULL && options->audience != NULL);
	*out = (struct inject_result){.patch = json_array(), .warnings = json_array()};
	struct injection injection = {.metadata = json_object_get(pod, "metadata"),
		.spec = json_object_get(pod, "spec"),
		.ns = ns,
		.options = options,
		.probes = BUF_INIT(PROBES_MAX),
		.out = out};
	if (inject_read_annotations(&injection) == ERR_NONE && !inject_is_left_alone(&injection))
		(void)(change(&injection) == ERR_NONE);
	if (out->verdict == INJECT_REFUSE)
		CHECK(json_array_clear(out->patch) == 0);
	buf_done(&injection.probes);
}

void inject_result_done(struct inject_result *result)
{
	json_decref(result->patch);
	json_decref(result->warnings);
	*result = (struct inject_result){0};
}
