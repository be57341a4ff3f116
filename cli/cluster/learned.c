#include "cli/cluster/learned.h"
#include "cli/cluster/checks.h"
#include <string.h>

static const char *env_of(const json_t *container, const char *name)
{
	return checks_text(checks_named(json_object_get(container, "env"), name), "value");
}

/* Of the sidecar's token; without one, the control plane's default. */
static const char *audience_of(const json_t *pod)
{
	const json_t *volume = checks_named(json_object_get(json_object_get(pod, "spec"), "volumes"), "handfast-token");
	const json_t *sources = json_object_get(json_object_get(volume, "projected"), "sources");
	const json_t *token = json_object_get(json_array_get(sources, 0), "serviceAccountToken");
	return token != NULL ? checks_text(token, "audience") : "handfast";
}

enum err learned_read(const json_t *pod, struct inject_options *out, struct why *why)
{
	const json_t *inits = json_object_get(json_object_get(pod, "spec"), "initContainers");
	const json_t *sidecar = checks_named(inits, "handfast"), *init = checks_named(inits, "handfast-init");
	const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	const char *control = env_of(sidecar, "HANDFAST_SIDECAR_CONTROL_ADDRESS");
	if (sidecar == NULL || control[0] == '\0')
		return why_set(why, ERR_NOT_FOUND, "a webhook that gives pods a sidecar",
			"run `handfast check --cluster`, or give --control-address and --root-sha256",
			"a pod that was tried in the cluster got no sidecar");
	*out = (struct inject_options){.sidecar_image = checks_text(sidecar, "image"),
		.init_image = checks_text(init, "image"),
		.version = checks_text(annotations, INJECT_ANNOTATIONS "version"),
		.trust_domain = env_of(sidecar, "HANDFAST_SIDECAR_TRUST_DOMAIN"),
		.control_address = control,
		.bootstrap_root_sha256 = env_of(sidecar, "HANDFAST_SIDECAR_CONTROL_BOOTSTRAP_ROOT_SHA256"),
		.audience = audience_of(pod),
		.keeps_source = strcmp(env_of(sidecar, "HANDFAST_SIDECAR_INTERCEPTION"), "tproxy") == 0,
		.has_cni = init == NULL};
	return ERR_NONE;
}
