#include "cli/cluster/pod_sidecar.h"
#include "cli/cluster/checks.h"
#include <stdio.h>
#include <string.h>

enum { NAME_MAX = 253 }; /* of a pod: a DNS subdomain */

const char *pod_sidecar_name(const char *argument)
{
	static const char *const kinds[] = {"pod/", "pods/", "po/"};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(argument, kinds[i], strlen(kinds[i])) == 0) {
			argument += strlen(kinds[i]);
			break;
		}
	size_t len = strspn(argument, "abcdefghijklmnopqrstuvwxyz0123456789-.");
	bool is_dots = strspn(argument, ".") == len; /* it becomes part of a path */
	return len > 0 && len <= NAME_MAX && argument[len] == '\0' && !is_dots ? argument : NULL;
}

/* Of the init containers, where it is a native sidecar, else of the others. */
static const json_t *sidecar_in(const json_t *object, const char *inits, const char *containers)
{
	const json_t *found = checks_named(json_object_get(object, inits), "handfast");
	return found != NULL ? found : checks_named(json_object_get(object, containers), "handfast");
}

enum err pod_sidecar_judge(const json_t *pod, struct why *why)
{
	const json_t *metadata = json_object_get(pod, "metadata");
	const char *space = checks_text(metadata, "namespace"), *name = checks_text(metadata, "name");
	char fix[192], state[160];
	if (sidecar_in(json_object_get(pod, "spec"), "initContainers", "containers") == NULL)
		return why_set(why, ERR_NOT_FOUND, "a pod with the container handfast",
			"find out why: `handfast check`; pods that were created before their namespace got the label "
			"have to be created again",
			"pod %.63s/%.63s has no sidecar", space, name);
	const json_t *status = sidecar_in(json_object_get(pod, "status"), "initContainerStatuses", "containerStatuses");
	if (json_object_get(json_object_get(status, "state"), "running") != NULL)
		return ERR_NONE;
	if (!checks_state(status, "it", state, sizeof state))
		snprintf(state, sizeof state, "its node has not reported it yet");
	snprintf(fix, sizeof fix,
		"run `kubectl -n %.40s describe pod %.40s`, and read its log: `kubectl logs -c handfast`", space, name);
	return why_set(why, ERR_UNAVAILABLE, "a sidecar that runs", fix,
		"the sidecar of pod %.63s/%.63s does not run; %s", space, name, state);
}
