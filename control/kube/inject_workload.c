/* The sidecar's Workload API for the user's containers: a folder with its socket, and the variable that clients of
 * SPIFFE read. Each container that has the folder may ask: injection does not know its user. */
#include "control/kube/inject_private.h"
#include <string.h>

#define VOLUME "handfast-workload"
#define FOLDER "/run/handfast-workload"
#define SOCKET FOLDER "/workload.sock"

bool inject_wants_workload_api(const struct injection *injection)
{
	const char *wanted = injection->wants.workload_api;
	return wanted != NULL && strcmp(wanted, "enabled") == 0;
}

json_t *inject_workload_volume(void)
{
	return json_pack("{s:s, s:{s:s, s:s}}", "name", VOLUME, "emptyDir", "medium", "Memory", "sizeLimit", "1Mi");
}

/* Read-only is enough to connect, and no user's container can put another socket there. */
static json_t *mount(bool is_read_only)
{
	return json_pack("{s:s, s:s, s:b}", "name", VOLUME, "mountPath", FOLDER, "readOnly", is_read_only);
}

void inject_workload_sidecar(json_t *env, json_t *mounts)
{
	CHECK(json_array_append_new(mounts, mount(false)) == 0);
	inject_put_env(env, "HANDFAST_SIDECAR_WORKLOAD_API_SOCKET", SOCKET);
	inject_put_env(env, "HANDFAST_SIDECAR_WORKLOAD_API_UIDS", "any");
}

static void append(struct injection *injection, const struct inject_container *at, const char *list, json_t *item)
{
	if (!json_is_array(json_object_get(at->container, list)))
		inject_put(injection, "add", json_array(), "/spec/%s/%zu/%s", at->list, at->index, list);
	inject_put(injection, "add", item, "/spec/%s/%zu/%s/-", at->list, at->index, list);
}

/* A pod that was copied from a cluster, and asks for it since. */
void inject_repair_workload_api(struct injection *injection, size_t sidecar, const json_t *container)
{
	json_t *env, *mounts, *item;
	size_t i;
	if (!inject_wants_workload_api(injection))
		return;
	env = json_array();
	mounts = json_array();
	inject_workload_sidecar(env, mounts);
	json_array_foreach(env, i, item)
	{
		if (!inject_has_item(json_object_get(container, "env"), "name", inject_text(item, "name")))
			inject_put(injection, "add", json_incref(item), "/spec/initContainers/%zu/env/-", sidecar);
	}
	if (!inject_has_item(json_object_get(container, "volumeMounts"), "mountPath", FOLDER))
		append(injection,
			&(struct inject_container){.container = container, .list = "initContainers", .index = sidecar},
			"volumeMounts", json_incref(json_array_get(mounts, 0)));
	json_decref(env);
	json_decref(mounts);
}

void inject_share_workload_api(struct injection *injection)
{
	struct inject_container at = {0};
	if (!inject_wants_workload_api(injection))
		return;
	while (inject_next_container(injection, &at)) {
		if (inject_is_own(&at) || strcmp(at.list, "ephemeralContainers") == 0)
			continue;
		if (!inject_has_item(json_object_get(at.container, "volumeMounts"), "mountPath", FOLDER))
			append(injection, &at, "volumeMounts", mount(true));
		if (!inject_has_item(json_object_get(at.container, "env"), "name", "SPIFFE_ENDPOINT_SOCKET"))
			append(injection, &at, "env",
				json_pack("{s:s, s:s}", "name", "SPIFFE_ENDPOINT_SOCKET", "value", "unix://" SOCKET));
	}
}
