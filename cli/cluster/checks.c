#include "cli/cluster/checks.h"
#include "base/core/check.h"
#include "base/core/version.h"
#include <stdio.h>
#include <string.h>

const char *checks_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

const char *checks_name(const json_t *object)
{
	return checks_text(json_object_get(object, "metadata"), "name");
}

const char *checks_label(const json_t *object, const char *key)
{
	return checks_text(json_object_get(json_object_get(object, "metadata"), "labels"), key);
}

const char *checks_interception(const json_t *namespace_)
{
	return checks_text(
		json_object_get(json_object_get(namespace_, "metadata"), "annotations"), "handfast.dev/interception");
}

const json_t *checks_named(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(checks_text(json_array_get(list, i), "name"), name) == 0)
			return json_array_get(list, i);
	return NULL;
}

json_t *checks_member(json_t *object, const char *key, json_t *fresh)
{
	json_t *found = json_object_get(object, key);
	if (found == NULL) {
		CHECK(json_object_set(object, key, fresh) == 0);
		found = fresh;
	}
	json_decref(fresh);
	return found;
}

bool checks_state(const json_t *status, const char *name, char *out, size_t cap)
{
	const json_t *state = json_object_get(status, "state");
	const json_t *waiting = json_object_get(state, "waiting"), *ended = json_object_get(state, "terminated");
	const json_t *detail = waiting != NULL ? waiting : ended;
	const char *message = checks_text(detail, "message");
	char how[40] = "waits";
	if (detail == NULL)
		return false;
	if (waiting == NULL)
		snprintf(how, sizeof(how), "ended with %lld",
			(long long)json_integer_value(json_object_get(ended, "exitCode")));
	snprintf(out, cap, "%s %s: %.24s%s%s", name, how, checks_text(detail, "reason"), message[0] == '\0' ? "" : " ",
		message);
	return true;
}

void checks_collect(void *arg, const json_t *item)
{
	json_t *copy = json_deep_copy(item);
	if (copy != NULL)
		(void)json_array_append_new(arg, copy);
}

static void wrong(struct findings *findings, const char *check, const char *expected, const char *fix, const char *got)
{
	struct why why;
	(void)why_set(&why, ERR_CONFIG, expected, fix, "%s", got);
	findings_wrong(findings, check, &why);
}

/* --- the control plane --- */

bool checks_is_ready(const json_t *pod)
{
	const json_t *conditions = json_object_get(json_object_get(pod, "status"), "conditions");
	for (size_t i = 0; i < json_array_size(conditions); i++) {
		const json_t *one = json_array_get(conditions, i);
		if (strcmp(checks_text(one, "type"), "Ready") == 0)
			return strcmp(checks_text(one, "status"), "True") == 0;
	}
	return false;
}

static const char *image_of(const json_t *pod)
{
	const json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
	return checks_text(json_array_get(containers, 0), "image");
}

static void check_images(struct findings *findings, const json_t *pods)
{
	char got[256];
	for (size_t i = 1; i < json_array_size(pods); i++) {
		const char *first = image_of(json_array_get(pods, 0)), *other = image_of(json_array_get(pods, i));
		if (strcmp(first, other) == 0)
			continue;
		snprintf(got, sizeof(got), "replicas have the images %.100s and %.100s", first, other);
		wrong(findings, "control-plane-version", "one release of the control plane",
			"wait until the rollout has ended, or find out why it does not end: `kubectl rollout status`",
			got);
		return;
	}
	if (json_array_size(pods) > 0)
		findings_well(findings, "control-plane-version", "%s", image_of(json_array_get(pods, 0)));
}

void check_control(struct findings *findings, const json_t *deployment, const json_t *pods, const char *own_namespace)
{
	const json_t *wanted = json_object_get(json_object_get(deployment, "spec"), "replicas");
	size_t num_wanted = (size_t)json_integer_value(wanted), num_ready = 0;
	char got[256], fix[192];
	if (deployment == NULL) {
		snprintf(got, sizeof(got), "namespace %.64s has no Deployment handfast-control", own_namespace);
		wrong(findings, "control-plane", "the control plane",
			"run `kubectl apply -f handfast.yaml`, or give --control-namespace", got);
		return;
	}
	for (size_t i = 0; i < json_array_size(pods); i++)
		num_ready += checks_is_ready(json_array_get(pods, i)) ? 1 : 0;
	if (num_ready >= num_wanted && num_wanted > 0) {
		findings_well(findings, "control-plane", "%zu of %zu replicas are ready", num_ready, num_wanted);
	} else {
		snprintf(got, sizeof(got), "%zu of %zu replicas of the control plane are ready", num_ready, num_wanted);
		snprintf(fix, sizeof(fix), "run `kubectl -n %.64s describe pods`, and read their logs", own_namespace);
		wrong(findings, "control-plane", "every replica ready, and at least one", fix, got);
	}
	check_images(findings, pods);
}

void check_registration(struct findings *findings, const json_t *configuration)
{
	const json_t *hooks = json_object_get(configuration, "webhooks");
	if (configuration == NULL || json_array_size(hooks) == 0) {
		wrong(findings, "webhook", "the MutatingWebhookConfiguration handfast",
			"run `kubectl apply -f handfast.yaml`",
			"no webhook is registered: pods start without a sidecar");
		return;
	}
	for (size_t i = 0; i < json_array_size(hooks); i++) {
		const json_t *hook = json_array_get(hooks, i);
		if (checks_text(json_object_get(hook, "clientConfig"), "caBundle")[0] == '\0') {
			wrong(findings, "webhook", "a caBundle, which the control plane writes within a second",
				"see the log of handfast-control: may it patch its MutatingWebhookConfiguration?",
				"the webhook has no caBundle, so the API server cannot call it");
			return;
		}
		if (strcmp(checks_text(hook, "failurePolicy"), "Fail") != 0) {
			wrong(findings, "webhook", "failurePolicy: Fail", "run `kubectl apply -f handfast.yaml`",
				"pods start without a sidecar while the webhook is away");
			return;
		}
	}
	findings_well(findings, "webhook", "registered, with a caBundle");
}

/* By name: with two families a pod is in two slices. */
static void add_ready_endpoints(const json_t *slice, json_t *names)
{
	const json_t *endpoints = json_object_get(slice, "endpoints");
	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		const json_t *endpoint = json_array_get(endpoints, i),
			     *conditions = json_object_get(endpoint, "conditions");
		const char *name = checks_text(json_object_get(endpoint, "targetRef"), "name");
		const char *address = json_string_value(json_array_get(json_object_get(endpoint, "addresses"), 0));
		if (address != NULL && !json_is_false(json_object_get(conditions, "ready")))
			(void)json_object_set_new(names, name[0] != '\0' ? name : address, json_true());
	}
}

void check_service(struct findings *findings, const char *name, const json_t *slices)
{
	json_t *names = json_object();
	char got[256];
	for (size_t i = 0; i < json_array_size(slices); i++)
		add_ready_endpoints(json_array_get(slices, i), names);
	size_t num = json_object_size(names);
	json_decref(names);
	if (num > 0) {
		findings_well(findings, "service", "%s has %zu %s", name, num, num == 1 ? "endpoint" : "endpoints");
		return;
	}
	snprintf(got, sizeof(got), "Service %.64s has no ready endpoint", name);
	wrong(findings, "service", "a ready replica of the control plane behind it",
		"start the control plane, or restore the Service: `kubectl apply -f handfast.yaml`", got);
}

void check_definition(struct findings *findings, const char *name, const char *version, const json_t *definition)
{
	const json_t *versions = json_object_get(json_object_get(definition, "spec"), "versions");
	char got[256];
	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *one = json_array_get(versions, i);
		if (strcmp(checks_text(one, "name"), version) == 0 && json_is_true(json_object_get(one, "served"))) {
			findings_well(findings, "definition", "%s is served as %s", name, version);
			return;
		}
	}
	snprintf(got, sizeof(got), "%.64s is not served as %.32s", name, version);
	wrong(findings, "definition", "the resource definitions of release " HANDFAST_VERSION,
		"run `kubectl apply -f handfast.yaml` with that release's file", got);
}

/* --- namespaces with the label --- */

bool checks_refuses_injection(const json_t *namespace_)
{
	const char *level = checks_label(namespace_, CHECKS_POD_SECURITY);
	return strcmp(level, "baseline") == 0 || strcmp(level, "restricted") == 0;
}

bool check_cni(struct findings *findings, const json_t *agents)
{
	char got[256];
	for (size_t i = 0; i < json_array_size(agents); i++) {
		const json_t *status = json_object_get(json_array_get(agents, i), "status");
		json_int_t wanted = json_integer_value(json_object_get(status, "desiredNumberScheduled"));
		json_int_t ready = json_integer_value(json_object_get(status, "numberReady"));
		if (ready >= wanted) {
			findings_well(findings, "cni", "the agent is ready on %d nodes", (int)ready);
			continue;
		}
		snprintf(got, sizeof(got), "the CNI agent is ready on %d of %d nodes", (int)ready, (int)wanted);
		wrong(findings, "cni", "an agent on each node: without one the node starts no pod of the mesh",
			"see the pods of namespace handfast-cni, and their logs", got);
	}
	return json_array_size(agents) > 0;
}

/* The CNI plugin spares the init container its capability, not the sidecar of this mode. */
static void check_refused_mode(struct findings *findings, const json_t *namespace_)
{
	char got[256], fix[192];
	const char *name = checks_name(namespace_);
	if (strcmp(checks_interception(namespace_), "tproxy") != 0)
		return;
	snprintf(got, sizeof(got), "namespace %.64s enforces %.16s, which refuses the sidecars of the mode tproxy",
		name, checks_label(namespace_, CHECKS_POD_SECURITY));
	snprintf(fix, sizeof(fix),
		"run `kubectl annotate --overwrite namespace %.64s handfast.dev/interception=redirect`", name);
	wrong(findings, "pod-security", "a namespace that allows NET_RAW, or the mode redirect", fix, got);
}

/* The webhook selects one value, and the API server calls it for no other: pods would start without one, unnoticed. */
static void check_label(struct findings *findings, const json_t *namespace_)
{
	char got[256], fix[192];
	const char *name = checks_name(namespace_), *value = checks_label(namespace_, CHECKS_LABEL);
	if (value[0] == '\0' || strcmp(value, "enabled") == 0 || strcmp(value, "disabled") == 0)
		return;
	snprintf(got, sizeof(got), "namespace %.64s has the label " CHECKS_LABEL "=%.64s, and its pods get no sidecar",
		name, value);
	snprintf(fix, sizeof(fix),
		"run `kubectl label --overwrite namespace %.64s " CHECKS_LABEL "=enabled`, or `=disabled`", name);
	wrong(findings, "namespace-label", "the value enabled, the only one that is selected", fix, got);
}

void check_pod_security(struct findings *findings, const json_t *namespaces, bool has_cni)
{
	size_t num = 0;
	for (size_t i = 0; i < json_array_size(namespaces); i++) {
		const json_t *one = json_array_get(namespaces, i);
		char got[256], fix[192];
		check_label(findings, one);
		if (!checks_is_labeled(one))
			continue;
		num++;
		if (!checks_refuses_injection(one))
			continue;
		check_refused_mode(findings, one);
		if (has_cni)
			continue;
		snprintf(got, sizeof(got), "namespace %.64s enforces %.16s, which refuses the init container",
			checks_name(one), checks_label(one, CHECKS_POD_SECURITY));
		snprintf(fix, sizeof(fix),
			"install handfast-cni, or run `kubectl label --overwrite namespace "
			"%.64s " CHECKS_POD_SECURITY "=privileged`",
			checks_name(one));
		wrong(findings, "pod-security", "a namespace that allows NET_ADMIN, or the CNI plugin", fix, got);
	}
	findings_well(findings, "namespaces", "%zu with the label " CHECKS_LABEL "=enabled", num);
}

void check_release(struct findings *findings, const char *release)
{
	char got[256], fix[192];
	if (release[0] == '\0')
		return;
	if (strcmp(release, HANDFAST_VERSION) == 0) {
		findings_well(findings, "release", "the control plane is %s, as this program", release);
		return;
	}
	snprintf(got, sizeof(got), "the control plane is %.32s, this program is " HANDFAST_VERSION, release);
	snprintf(fix, sizeof(fix), "use the command line of release %.32s, or finish the upgrade", release);
	wrong(findings, "release", "the same release of both, because the checks are those of this program's release",
		fix, got);
}

/* As PodSecurity's level `restricted` wants it. */
json_t *checks_trial_pod(void)
{
	static const char text[] = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"generateName\": "
				   "\"handfast-check-\"}, \"spec\": {\"automountServiceAccountToken\": false, "
				   "\"securityContext\": {\"runAsNonRoot\": true, \"runAsUser\": 1000, "
				   "\"seccompProfile\": {\"type\": \"RuntimeDefault\"}}, \"containers\": [{\"name\": "
				   "\"check\", \"image\": \"none\", \"securityContext\": "
				   "{\"allowPrivilegeEscalation\": false, \"capabilities\": {\"drop\": [\"ALL\"]}}}]}}";
	return json_loads(text, 0, NULL);
}

void check_tried_injection(struct findings *findings, const char *namespace_, const json_t *pod)
{
	const json_t *inits = json_object_get(json_object_get(pod, "spec"), "initContainers");
	char got[256];
	if (checks_named(inits, "handfast") != NULL) {
		findings_well(findings, "injection", "a pod of namespace %s gets a sidecar", namespace_);
		return;
	}
	snprintf(got, sizeof(got), "a pod of namespace %.64s would start without a sidecar", namespace_);
	wrong(findings, "injection", "a webhook that is called for namespaces with the label",
		"restore the webhook's selectors: `kubectl apply -f handfast.yaml`", got);
}

void check_left_registration(struct findings *findings, const json_t *configuration, const json_t *own_namespace)
{
	if (configuration != NULL && own_namespace == NULL) {
		wrong(findings, "webhook", "no webhook without the control plane that answers it",
			"run `kubectl delete mutatingwebhookconfiguration handfast`",
			"the webhook is registered, and nothing answers it: no pod can start where the label is");
		return;
	}
	findings_well(findings, "webhook",
		configuration == NULL ? "none is registered" : "registered, with the control plane; deleted first");
}
