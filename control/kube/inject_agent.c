/* The identity from a SPIFFE agent on the node (decision 077): the folder of its socket, as SPIFFE's CSI driver mounts
 * it. A user's container that wants one has a volume of the driver itself. */
#include "base/core/mem.h"
#include "control/kube/inject_private.h"

#define FOLDER "/run/handfast-agent"
#define SOURCE "HANDFAST_SIDECAR_IDENTITY_SOURCE"

bool inject_wants_agent(const struct injection *injection)
{
	return injection->wants.agent_socket != NULL;
}

json_t *inject_agent_volume(void)
{
	return json_pack(
		"{s:s, s:{s:s, s:b}}", "name", INJECT_AGENT_VOLUME, "csi", "driver", "csi.spiffe.io", "readOnly", 1);
}

void inject_agent_sidecar(const struct injection *injection, json_t *env, json_t *mounts)
{
	_cleanup_(mem_freep) char *address = mem_printf("unix://" FOLDER "/%s", injection->wants.agent_socket);
	inject_put_env(env, SOURCE, "workload_api");
	inject_put_env(env, "HANDFAST_SIDECAR_IDENTITY_WORKLOAD_API_ADDRESS", address);
	CHECK(json_array_append_new(mounts, json_pack("{s:s, s:s, s:b}", "name", INJECT_AGENT_VOLUME, "mountPath",
						    FOLDER, "readOnly", 1)) == 0);
}

/* Whether the sidecar has the source that the pod asks for, with its address. */
static bool has_wanted(const struct injection *injection, const json_t *container)
{
	json_t *env = json_array(), *mounts = json_array();
	if (inject_wants_istio(injection))
		inject_istio_sidecar(injection, env, mounts);
	else
		inject_agent_sidecar(injection, env, mounts);
	const json_t *present = json_object_get(container, "env"), *want, *item;
	size_t num_found = 0, i, j;
	json_array_foreach(env, i, want)
	{
		json_array_foreach(present, j, item)
		{
			num_found += json_equal(item, want) ? 1 : 0;
		}
	}
	bool has_all = num_found == json_array_size(env);
	json_decref(env);
	json_decref(mounts);
	return has_all;
}

/* A sidecar that is there keeps its source: half of one would leave the pod without an identity. */
void inject_warn_of_agent(struct injection *injection, const json_t *container)
{
	bool has_source = inject_has_item(json_object_get(container, "env"), "name", SOURCE);
	bool wants_source = inject_wants_agent(injection) || inject_wants_istio(injection);
	if (wants_source != has_source || (wants_source && !has_wanted(injection, container)))
		inject_warn(injection,
			"annotation " INJECT_ANNOTATIONS "%s has no effect: the pod has its sidecar already, made %s",
			inject_wants_istio(injection) ? "istio-ca" : "agent-socket",
			!has_source    ? "without it"
			: wants_source ? "with another"
				       : "with it");
}
