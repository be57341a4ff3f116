/* How connections reach the sidecar: by redirection, or in the mode tproxy, in which the sidecar connects to the
 * workload in its callers' names and so needs one capability (decision 093). */
#include "base/core/fixed_ports.h"
#include "control/kube/inject_private.h"
#include <string.h>

/* Of a sidecar that is there: its rules are those that fit it, whatever the pod asks for since. */
static bool has_tproxy(const struct injection *injection)
{
	const json_t *env, *item;
	size_t sidecar, i;
	if (!inject_find_init(injection, INJECT_SIDECAR, &sidecar))
		return false;
	env = json_object_get(json_array_get(json_object_get(injection->spec, "initContainers"), sidecar), "env");
	json_array_foreach(env, i, item)
	{
		if (strcmp(inject_text(item, "name"), INJECT_INTERCEPTION) == 0)
			return strcmp(inject_text(item, "value"), INJECT_TPROXY) == 0;
	}
	return false;
}

enum err inject_choose_interception(struct injection *injection, bool is_injected)
{
	const char *own = injection->wants.interception;
	RETURN_IF_ERR(inject_read_namespace(injection));
	const char *wanted = injection->wants.interception;
	injection->keeps_source =
		wanted == NULL ? injection->options->keeps_source : strcmp(wanted, INJECT_TPROXY) == 0;
	if (!is_injected)
		return ERR_NONE;
	bool is_wanted = injection->keeps_source;
	injection->keeps_source = has_tproxy(injection);
	if (own != NULL && is_wanted != injection->keeps_source)
		inject_warn(injection,
			"annotation " INJECT_ANNOTATIONS "interception has no effect: the pod has its sidecar "
			"already, in the other mode");
	return ERR_NONE;
}

void inject_put_interception(const struct injection *injection, json_t *env, const char *name)
{
	inject_put_env(env, name, injection->keeps_source ? INJECT_TPROXY : NULL);
}

/* A program that is not root gets none of the capabilities that `add` lists, unless its file has them: the sidecar's
 * has CAP_NET_RAW. no_new_privs does not take that away, since runtimes hold what `add` lists when they start the
 * program. */
json_t *inject_sidecar_security(const struct injection *injection)
{
	json_t *capabilities = json_pack("{s:[s]}", "drop", "ALL");
	if (injection->keeps_source)
		CHECK(json_object_set_new(capabilities, "add", json_pack("[s]", "NET_RAW")) == 0);
	json_t *security = json_pack("{s:i, s:i, s:b, s:b, s:b, s:o, s:{s:s}}", "runAsUser", FIXED_ID, "runAsGroup",
		FIXED_ID, "runAsNonRoot", 1, "allowPrivilegeEscalation", 0, "readOnlyRootFilesystem", 1, "capabilities",
		capabilities, "seccompProfile", "type", "RuntimeDefault");
	CHECK(security != NULL);
	return security;
}
