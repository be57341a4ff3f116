/* Which pods are left as they are, and which are refused. */
#include "base/core/fixed_ports.h"
#include "control/kube/inject_private.h"
#include <string.h>

#define OTHER_PORTS                                                                                                    \
	"ports other than " FIXED_TEXT(FIXED_PORT_ADMIN) ", " FIXED_TEXT(FIXED_PORT_OUTBOUND) ", " FIXED_TEXT(         \
		FIXED_PORT_INBOUND) ", " FIXED_TEXT(FIXED_PORT_TUNNEL) " and " FIXED_TEXT(FIXED_PORT_METRICS)

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static bool wants_injection(const struct injection *injection)
{
	return injection->wants.inject != NULL && strcmp(injection->wants.inject, "enabled") == 0;
}

/* `os` is optional; a selector is what puts a pod on such a node. */
static bool is_for_windows(const json_t *spec)
{
	return strcmp(inject_text(json_object_get(spec, "os"), "name"), "windows") == 0 ||
	       strcmp(inject_text(json_object_get(spec, "nodeSelector"), "kubernetes.io/os"), "windows") == 0;
}

bool inject_is_left_alone(struct injection *injection)
{
	const json_t *spec = injection->spec;
	if (strcmp(injection->ns->name, injection->options->own_namespace) == 0 || injection->ns->is_left_alone)
		return true;
	if (injection->wants.inject != NULL && !wants_injection(injection))
		return true;
	/* A mirror pod shows a static pod of the kubelet's, which has started already. */
	if (json_object_get(json_object_get(injection->metadata, "annotations"), "kubernetes.io/config.mirror") != NULL)
		return true;
	if (is_true(spec, "hostNetwork")) {
		inject_warn(injection, "no sidecar: the pod has hostNetwork, whose traffic is the node's");
		return true;
	}
	if (is_for_windows(spec)) {
		inject_warn(injection, "no sidecar: the pod is for Windows, which has no interception rules");
		return true;
	}
	if (is_true(spec, "shareProcessNamespace") && !wants_injection(injection) && !inject_is_injected(injection)) {
		inject_warn(injection, "no sidecar: with shareProcessNamespace the pod's processes can reach into it; "
				       "annotate handfast.dev/inject: enabled to have one anyway");
		return true;
	}
	return false;
}

/* --- refusals --- */

static enum err check_options(struct injection *injection)
{
	if (injection->options->control_address != NULL)
		return ERR_NONE;
	return inject_refuse(injection, "a Service of the control plane with a clusterIP",
		"restore the Service handfast-control, which the install manifest has, and create the pod again",
		"the address of Service %s/handfast-control is not known", injection->options->own_namespace);
}

/* By the mode, which decides on what the sidecar needs. */
static enum err check_mode(struct injection *injection, bool is_injected)
{
	RETURN_IF_ERR(inject_choose_interception(injection, is_injected));
	const char *level = injection->ns->pod_security;
	if (level == NULL || (strcmp(level, "baseline") != 0 && strcmp(level, "restricted") != 0))
		return ERR_NONE;
	if (injection->keeps_source)
		return inject_refuse(injection,
			"a namespace that allows a container with NET_RAW, or the mode redirect",
			"annotate the pod or the namespace " INJECT_ANNOTATIONS "interception: redirect, or label the "
			"namespace pod-security.kubernetes.io/enforce=privileged",
			"namespace %s has the label pod-security.kubernetes.io/enforce=%s, which refuses the sidecar "
			"of "
			"the mode tproxy",
			injection->ns->name, level);
	if (injection->options->has_cni)
		return ERR_NONE;
	return inject_refuse(injection, "a namespace that allows an init container with NET_ADMIN, or the CNI plugin",
		"install handfast-cni and set kubernetes.cni: true, or label the namespace "
		"pod-security.kubernetes.io/enforce=privileged",
		"namespace %s has the label pod-security.kubernetes.io/enforce=%s, which refuses the init container "
		"that writes the interception rules",
		injection->ns->name, level);
}

/* A number, or a list with it. */
static bool has_id(const json_t *value)
{
	const json_t *item;
	size_t i;
	if (json_integer_value(value) == FIXED_ID)
		return true;
	json_array_foreach(value, i, item)
	{
		if (json_integer_value(item) == FIXED_ID)
			return true;
	}
	return false;
}

/* Rules of a release before decision 113, which an agent of the CNI plugin may still write, exempt the group alone:
 * any program could be given it in a volume of that group. */
static enum err check_id(struct injection *injection, const json_t *object, const char *where)
{
	const json_t *security = json_object_get(object, "securityContext");
	static const char *const keys[] = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (has_id(json_object_get(security, keys[i])))
			return inject_refuse(injection,
				"another user and group than " FIXED_TEXT(FIXED_ID) ", which is the sidecar's",
				"give the container another user and group",
				"%s has %s " FIXED_TEXT(FIXED_ID) ", whose traffic could bypass the sidecar", where,
				keys[i]);
	return ERR_NONE;
}

static bool is_own_port(json_int_t port)
{
	return port == FIXED_PORT_ADMIN || port == FIXED_PORT_OUTBOUND || port == FIXED_PORT_INBOUND ||
	       port == FIXED_PORT_TUNNEL || port == FIXED_PORT_METRICS;
}

static enum err check_ports(struct injection *injection, const struct inject_container *at)
{
	const json_t *ports = json_object_get(at->container, "ports"), *port;
	size_t i;
	json_array_foreach(ports, i, port)
	{
		json_int_t number = json_integer_value(json_object_get(port, "containerPort"));
		json_int_t host_port = json_integer_value(json_object_get(port, "hostPort"));
		if (is_own_port(number))
			return inject_refuse(injection, OTHER_PORTS, "let the container listen on another port",
				"container %s has port %d, which is the sidecar's", at->name, (int)number);
		if (host_port != 0)
			inject_warn(injection,
				"container %s: connections to hostPort %d arrive in plaintext; a strict port refuses "
				"them",
				at->name, (int)host_port);
	}
	return ERR_NONE;
}

static bool is_own_volume(const char *name)
{
	return strcmp(name, INJECT_TOKEN_VOLUME) == 0 || strcmp(name, "handfast-state") == 0 ||
	       strcmp(name, "handfast-run") == 0 || strcmp(name, INJECT_AGENT_VOLUME) == 0 ||
	       strcmp(name, INJECT_ISTIO_VOLUME) == 0;
}

static enum err check_mounts(struct injection *injection, const struct inject_container *at)
{
	const json_t *mounts = json_object_get(at->container, "volumeMounts"), *mount;
	size_t i;
	json_array_foreach(mounts, i, mount)
	{
		const char *name = inject_text(mount, "name");
		if (is_own_volume(name))
			return inject_refuse(injection, "containers without the sidecar's volumes",
				"remove the mount from the container",
				"container %s mounts %s, which has the sidecar's key, token or agent", at->name, name);
	}
	return ERR_NONE;
}

/* kubelet runs them from the node's side, as it does probes. */
static void warn_of_hooks(struct injection *injection, const struct inject_container *at)
{
	static const char *const hooks[] = {"postStart", "preStop"};
	const json_t *lifecycle = json_object_get(at->container, "lifecycle");
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		if (json_is_object(json_object_get(json_object_get(lifecycle, hooks[i]), "httpGet")))
			inject_warn(injection,
				"container %s: the %s hook comes from the node in plaintext; a strict port refuses it",
				at->name, hooks[i]);
}

static enum err check_container(struct injection *injection, const struct inject_container *at)
{
	if (strcmp(at->name, INJECT_SIDECAR) == 0 || strcmp(at->name, INJECT_INIT) == 0)
		return inject_refuse(injection, "containers with names other than 'handfast' and 'handfast-init'",
			"rename the container, or set the annotation handfast.dev/inject: disabled",
			"a container of the pod has the name %s, which is the sidecar's", at->name);
	RETURN_IF_ERR(check_id(injection, at->container, at->name));
	RETURN_IF_ERR(check_mounts(injection, at));
	warn_of_hooks(injection, at);
	return check_ports(injection, at);
}

static enum err check_volumes(struct injection *injection)
{
	const json_t *volumes = json_object_get(injection->spec, "volumes"), *volume;
	size_t i;
	json_array_foreach(volumes, i, volume)
	{
		const char *name = inject_text(volume, "name");
		if (is_own_volume(name))
			return inject_refuse(injection,
				"volumes with names other than handfast-token, handfast-state, handfast-run, "
				"handfast-agent and handfast-istio",
				"rename the volume, or set the annotation handfast.dev/inject: disabled",
				"a volume of the pod has the name %s, which is the sidecar's", name);
	}
	return ERR_NONE;
}

/* Whether a container has limits of CPU and memory that are also its requests (Kubernetes: QoS class Guaranteed). */
static bool is_guaranteed(const struct inject_container *at)
{
	static const char *const names[] = {"cpu", "memory"};
	const json_t *resources = json_object_get(at->container, "resources");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *limit = inject_text(json_object_get(resources, "limits"), names[i]);
		const char *request = inject_text(json_object_get(resources, "requests"), names[i]);
		if (limit[0] == '\0' || (request[0] != '\0' && strcmp(request, limit) != 0))
			return false;
	}
	return true;
}

static void warn_of_quality(struct injection *injection)
{
	struct inject_container at = {0};
	bool is_pod_guaranteed = false;
	if ((injection->wants.cpu_limit != NULL && injection->wants.memory_limit != NULL) ||
		inject_has_pod_resources(injection))
		return;
	while (inject_next_container(injection, &at)) {
		is_pod_guaranteed = is_guaranteed(&at);
		if (!is_pod_guaranteed)
			return;
	}
	if (is_pod_guaranteed)
		inject_warn(injection, "the pod is Burstable with the sidecar, not Guaranteed, unless the annotations "
				       "handfast.dev/cpu-limit, cpu-request, memory-limit and memory-request are set");
}

enum err inject_check(struct injection *injection, bool is_injected)
{
	struct inject_container at = {0};
	RETURN_IF_ERR(check_options(injection));
	RETURN_IF_ERR(check_mode(injection, is_injected));
	RETURN_IF_ERR(check_id(injection, injection->spec, "the pod"));
	RETURN_IF_ERR(inject_check_istio(injection));
	if (!is_injected) {
		RETURN_IF_ERR(check_volumes(injection));
		warn_of_quality(injection);
	}
	while (inject_next_container(injection, &at))
		if (!is_injected || !inject_is_own(&at))
			RETURN_IF_ERR(check_container(injection, &at));
	return ERR_NONE;
}
