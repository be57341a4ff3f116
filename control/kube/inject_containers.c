/* What a pod is given: the sidecar, the init container that writes the interception rules, and the sidecar's volumes.
 * The sidecar alone fits the PodSecurity level `restricted`, except in the mode tproxy. */
#include "base/core/fixed_ports.h"
#include "control/kube/inject_private.h"
#include <stdio.h>
#include <string.h>

enum {
	TOKEN_TTL_S = 3600,        /* kubelet renews it at 80 % */
	GRACE_DEFAULT_S = 30,      /* terminationGracePeriodSeconds of the API */
	GRACE_SPARE_S = 5,         /* between the sidecar's own end and kubelet's SIGKILL */
	DRAIN_DEADLINE_MAX_S = 25, /* the sidecar's default */
};

static const char token_folder[] = "/var/run/secrets/handfast";
static const char state_folder[] = "/var/lib/handfast-sidecar";

void inject_put_env(json_t *env, const char *name, const char *value)
{
	if (value != NULL)
		CHECK(json_array_append_new(env, json_pack("{s:s, s:s}", "name", name, "value", value)) == 0);
}

/* Ends before kubelet kills it. At its SIGTERM the workload has ended already. */
static void put_drain(const struct injection *injection, json_t *env)
{
	const json_t *given = json_object_get(injection->spec, "terminationGracePeriodSeconds");
	json_int_t grace = json_is_integer(given) ? json_integer_value(given) : GRACE_DEFAULT_S;
	json_int_t deadline = grace - GRACE_SPARE_S;
	char text[32];
	deadline = deadline < 1 ? 1 : deadline > DRAIN_DEADLINE_MAX_S ? DRAIN_DEADLINE_MAX_S : deadline;
	snprintf(text, sizeof(text), "%ds", (int)deadline);
	inject_put_env(env, "HANDFAST_SIDECAR_DRAIN_MINIMUM", "0s");
	inject_put_env(env, "HANDFAST_SIDECAR_DRAIN_DEADLINE", injection->wants.drain_deadline != NULL ? NULL : text);
}

static json_t *sidecar_env(const struct injection *injection)
{
	const struct inject_options *options = injection->options;
	struct buf probes = injection->probes; /* borrowed: buf_cstr() may move it */
	json_t *env = json_array();
	inject_put_env(env, "HANDFAST_SIDECAR_TRUST_DOMAIN", options->trust_domain);
	inject_put_env(env, "HANDFAST_SIDECAR_CONTROL_ADDRESS", options->control_address);
	inject_put_env(env, "HANDFAST_SIDECAR_CONTROL_BOOTSTRAP_ROOT_SHA256", options->bootstrap_root_sha256);
	if (!inject_wants_agent(injection) && !inject_wants_istio(injection)) {
		inject_put_env(
			env, "HANDFAST_SIDECAR_IDENTITY_KUBERNETES_TOKEN_FILE", "/var/run/secrets/handfast/token");
		inject_put_env(env, "HANDFAST_SIDECAR_IDENTITY_CLAIM_ADDRESS", "false");
	}
	inject_put_env(env, "HANDFAST_SIDECAR_STATE_DIR", "/var/lib/handfast-sidecar/state");
	put_drain(injection, env);
	inject_put_interception(injection, env, INJECT_INTERCEPTION);
	inject_put_sidecar_wants(injection, env);
	if (buf_len(&probes) > 0)
		CHECK(json_array_append_new(env, json_pack("{s:s, s:s%}", "name", INJECT_PROBES, "value",
							 buf_span(&probes).ptr, buf_len(&probes))) == 0);
	return env;
}

static void put_quantity(json_t *object, const char *name, const char *wanted, const char *otherwise)
{
	const char *value = wanted != NULL ? wanted : otherwise;
	if (value != NULL)
		CHECK(json_object_set_new(object, name, json_string(value)) == 0);
}

/* A pod with resources of its own (PodSpec.resources) is refused where its containers request more in sum; there the
 * sidecar requests nothing by itself and shares the pod's. */
static json_t *resources(const struct injection *injection)
{
	const struct inject_wants *wants = &injection->wants;
	bool is_shared = inject_has_pod_resources(injection);
	json_t *requests = json_object(), *limits = json_object();
	put_quantity(requests, "cpu", wants->cpu_request, is_shared ? NULL : "10m");
	put_quantity(requests, "memory", wants->memory_request, is_shared ? NULL : "32Mi");
	put_quantity(limits, "cpu", wants->cpu_limit, NULL);
	put_quantity(limits, "memory", wants->memory_limit, NULL);
	json_t *both = json_pack("{s:o}", "requests", requests);
	if (json_object_size(limits) > 0)
		CHECK(json_object_set(both, "limits", limits) == 0);
	json_decref(limits);
	return both;
}

static json_t *probe(int period_s, int tries)
{
	return json_pack("{s:{s:s, s:i}, s:i, s:i, s:i}", "httpGet", "path", "/healthz/ready", "port",
		FIXED_PORT_METRICS, "periodSeconds", period_s, "failureThreshold", tries, "timeoutSeconds", 3);
}

/* The API server mounts the account's own token into each container that has nothing at this place; ours need no
 * credentials of the API. */
static json_t *no_api_token(void)
{
	return json_pack("{s:s, s:s, s:b}", "name", "handfast-run", "mountPath",
		"/var/run/secrets/kubernetes.io/serviceaccount", "readOnly", 1);
}

static json_t *sidecar_mounts(void)
{
	return json_pack("[{s:s, s:s, s:b}, {s:s, s:s}, {s:s, s:s}, o]", "name", INJECT_TOKEN_VOLUME, "mountPath",
		token_folder, "readOnly", 1, "name", "handfast-state", "mountPath", state_folder, "name",
		"handfast-run", "mountPath", "/run/handfast", no_api_token());
}

/* Kubelet starts the next container once postStart has ended: at once, where a startup probe would be noticed up to a
 * second later (decision 055). With the plugin it is the first container, and an identity cannot come while it runs. */
static json_t *lifecycle(const struct injection *injection)
{
	return json_pack("{s:{s:{s:[s,s,s,s,s]}}, s:{s:{s:[s,s]}}}", "postStart", "exec", "command",
		"/handfast-sidecar", "wait", injection->options->has_cni ? "--listening" : "--started", "--timeout",
		"15s", "preStop", "exec", "command", "/handfast-sidecar", "drain");
}

json_t *inject_sidecar_container(const struct injection *injection)
{
	json_t *env = sidecar_env(injection), *mounts = sidecar_mounts();
	if (inject_wants_workload_api(injection))
		inject_workload_sidecar(env, mounts);
	if (inject_wants_agent(injection))
		inject_agent_sidecar(injection, env, mounts);
	if (inject_wants_istio(injection))
		inject_istio_sidecar(injection, env, mounts);
	json_t *ports = json_pack(
		"[{s:s, s:i, s:s}]", "name", "handfast-stats", "containerPort", FIXED_PORT_METRICS, "protocol", "TCP");
	json_t *container = json_pack("{s:s, s:s, s:s, s:[s], s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
		INJECT_SIDECAR, "image", injection->options->sidecar_image, "restartPolicy", "Always", "args", "run",
		"env", env, "ports", ports, "resources", resources(injection), "securityContext",
		inject_sidecar_security(injection), "readinessProbe", probe(2, 3), "volumeMounts", mounts, "lifecycle",
		lifecycle(injection));
	CHECK(container != NULL);
	return container;
}

json_t *inject_init_container(const struct injection *injection)
{
	json_t *env = json_array();
	inject_put_interception(injection, env, "HANDFAST_INIT_MODE");
	inject_put_init_wants(injection, env);
	json_t *security = json_pack("{s:i, s:i, s:b, s:b, s:b, s:{s:[s], s:[s]}, s:{s:s}}", "runAsUser", 0,
		"runAsGroup", 0, "runAsNonRoot", 0, "allowPrivilegeEscalation", 0, "readOnlyRootFilesystem", 1,
		"capabilities", "drop", "ALL", "add", "NET_ADMIN", "seccompProfile", "type", "RuntimeDefault");
	/* Its requests are those of the sidecar, which starts after it: the pod needs no more. */
	json_t *container = json_pack("{s:s, s:s, s:[s], s:o, s:o, s:o, s:[o]}", "name", INJECT_INIT, "image",
		injection->options->init_image, "args", "up", "env", env, "securityContext", security, "resources",
		resources(injection), "volumeMounts", no_api_token());
	CHECK(container != NULL);
	return container;
}

static const json_t *find_volume(const struct injection *injection, const char *name, size_t *out_index)
{
	const json_t *volumes = json_object_get(injection->spec, "volumes"), *volume;
	size_t i;
	json_array_foreach(volumes, i, volume)
	{
		if (strcmp(inject_text(volume, "name"), name) != 0)
			continue;
		*out_index = i;
		return volume;
	}
	return NULL;
}

static void add_volume(struct injection *injection, json_t *volume)
{
	size_t index;
	CHECK(volume != NULL);
	if (find_volume(injection, inject_text(volume, "name"), &index) != NULL)
		json_decref(volume);
	else
		inject_put(injection, "add", volume, "/spec/volumes/-");
}

/* A pod that was copied from a cluster has a token for that cluster's control plane. */
static void refresh_audience(struct injection *injection)
{
	size_t index = 0;
	const json_t *volume = find_volume(injection, INJECT_TOKEN_VOLUME, &index);
	const json_t *sources = json_object_get(json_object_get(volume, "projected"), "sources");
	const json_t *token = json_object_get(json_array_get(sources, 0), "serviceAccountToken");
	if (token != NULL && strcmp(inject_text(token, "audience"), injection->options->audience) != 0)
		inject_put(injection, "add", json_string(injection->options->audience),
			"/spec/volumes/%zu/projected/sources/0/serviceAccountToken/audience", index);
}

void inject_add_volumes(struct injection *injection)
{
	if (!json_is_array(json_object_get(injection->spec, "volumes")))
		inject_put(injection, "add", json_array(), "/spec/volumes");
	refresh_audience(injection);
	add_volume(injection, json_pack("{s:s, s:{s:[{s:{s:s, s:i, s:s}}]}}", "name", INJECT_TOKEN_VOLUME, "projected",
				      "sources", "serviceAccountToken", "audience", injection->options->audience,
				      "expirationSeconds", TOKEN_TTL_S, "path", "token"));
	add_volume(injection, json_pack("{s:s, s:{s:s, s:s}}", "name", "handfast-state", "emptyDir", "medium", "Memory",
				      "sizeLimit", "24Mi"));
	if (inject_wants_workload_api(injection))
		add_volume(injection, inject_workload_volume());
	if (inject_wants_agent(injection) && !inject_is_injected(injection))
		add_volume(injection, inject_agent_volume());
	if (inject_wants_istio(injection) && !inject_is_injected(injection))
		add_volume(injection, inject_istio_volume());
	add_volume(injection, json_pack("{s:s, s:{s:s}}", "name", "handfast-run", "emptyDir", "medium", "Memory"));
}
