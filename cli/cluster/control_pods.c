#include "cli/cluster/control_pods.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include <stdio.h>
#include <string.h>

enum { PORT_BY_DEFAULT = 15016 };

char *control_pods_path(const char *namespace_)
{
	return mem_printf(
		"/api/v1/namespaces/%s/pods?labelSelector=app.kubernetes.io%%2Fname%%3Dhandfast-control", namespace_);
}

static bool can_be_asked(const json_t *pod)
{
	return checks_is_ready(pod) && json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp") == NULL;
}

enum err control_pods_ready(const json_t *pods, const char *namespace_, json_t **out, struct why *why)
{
	char fix[160];
	if (json_array_size(pods) == 0)
		return why_set(why, ERR_NOT_FOUND, "a control plane of Handfast in the cluster",
			"give its namespace as --control-namespace; on a machine with a control plane of its own give "
			"--socket; what is installed: `handfast check --cluster`",
			"namespace %.63s has no pod of the control plane", namespace_);
	json_t *ready = json_array();
	for (size_t i = 0; i < json_array_size(pods); i++)
		if (can_be_asked(json_array_get(pods, i)))
			json_array_append(ready, json_array_get(pods, i));
	if (json_array_size(ready) > 0) {
		*out = ready;
		return ERR_NONE;
	}
	json_decref(ready);
	snprintf(fix, sizeof fix,
		"find out why: `kubectl -n %.63s logs deployment/handfast-control`; `handfast check --cluster`",
		namespace_);
	return why_set(why, ERR_UNAVAILABLE, "a replica of the control plane that is ready", fix,
		"none of the %zu pods of the control plane in namespace %.63s is ready", json_array_size(pods),
		namespace_);
}

static uint16_t port_of(const json_t *container)
{
	const json_t *ports = json_object_get(container, "ports");
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *one = json_array_get(ports, i);
		json_int_t number = json_integer_value(json_object_get(one, "containerPort"));
		if (strcmp(checks_text(one, "name"), "operator") == 0 && number > 0 && number <= UINT16_MAX)
			return (uint16_t)number;
	}
	return 0;
}

uint16_t control_pods_port(const json_t *pod)
{
	const json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
	for (size_t i = 0; i < json_array_size(containers); i++) {
		uint16_t port = port_of(json_array_get(containers, i));
		if (port != 0)
			return port;
	}
	return PORT_BY_DEFAULT;
}
