#include "cli/cluster/learned.h"
#include "cli/cluster/checks.h"
#include <string.h>

static const json_t *init_of(const json_t *pod, const char *name)
{
	const json_t *inits = json_object_get(json_object_get(pod, "spec"), "initContainers");
	for (size_t i = 0; i < json_array_size(inits); i++)
		if (strcmp(checks_text(json_array_get(inits, i), "name"), name) == 0)
			return json_array_get(inits, i);
	return NULL;
}

static const char *env_of(const json_t *container, const char *name)
{
	const json_t *env = json_object_get(container, "env");
	for (size_t i = 0; i < json_array_size(env); i++)
		if (strcmp(checks_text(json_array_get(env, i), "name"), name) == 0)
			return checks_text(json_array_get(env, i), "value");
	return "";
}

enum err learned_read(const json_t *pod, struct inject_options *out, struct why *why)
{
	const json_t *sidecar = init_of(pod, "handfast"), *init = init_of(pod, "handfast-init");
	const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	const char *control = env_of(sidecar, "HANDFAST_SIDECAR_CONTROL_ADDRESS");
	if (sidecar == NULL || control[0] == '\0')
		return why_set(why, ERR_NOT_FOUND, "a webhook that gives pods a sidecar",
			"see handfast check --cluster, or give --control-address and --root-sha256",
			"a pod that was tried in the cluster got no sidecar");
	*out = (struct inject_options){.sidecar_image = checks_text(sidecar, "image"),
		.init_image = checks_text(init, "image"),
		.version = checks_text(annotations, INJECT_ANNOTATIONS "version"),
		.trust_domain = env_of(sidecar, "HANDFAST_SIDECAR_TRUST_DOMAIN"),
		.control_address = control,
		.bootstrap_root_sha256 = env_of(sidecar, "HANDFAST_SIDECAR_CONTROL_BOOTSTRAP_ROOT_SHA256"),
		.has_cni = init == NULL};
	return ERR_NONE;
}
