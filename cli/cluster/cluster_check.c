#include "cli/cluster/cluster_check.h"
#include "base/core/base64.h"
#include "base/core/clock.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/cluster_steps.h"
#include "cli/cluster/control_pods.h"
#include "cli/cluster/expiries.h"
#include "cli/cluster/policies.h"
#include "cli/cluster/times.h"
#include <stdio.h>
#include <string.h>

#define CONFIGURATIONS "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
#define ACCESS_REVIEWS "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

enum { BUNDLE_MAX = 1024 * 1024 };

/* The object, NULL where there is none. */
static enum err get(struct check *check, const char *path, json_t **out, struct why *why)
{
	enum err err = api_get(&check->api, path, out, why);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err get_own(
	struct check *check, const char *group, const char *kind, const char *name, json_t **out, struct why *why)
{
	_cleanup_(mem_freep) char *path =
		mem_printf("/%s/namespaces/%s/%s/%s", group, check->own_namespace, kind, name);
	return get(check, path, out, why);
}

/* --- the checks, each with what it reads --- */

static enum err run_namespaces(struct check *check, struct why *why)
{
	return api_list(&check->api, "/api/v1/namespaces", checks_collect, check->namespaces, why);
}

static const char *const verbs[] = {"get", "create", "patch"};

static enum err run_permission(struct check *check, const char *group, const char *resource, struct why *why)
{
	struct why missing;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		_cleanup_(json_decrefp) json_t *review = checks_access_review(group, resource, verbs[i]),
					       *answer = NULL;
		RETURN_IF_ERR(api_create(&check->api, ACCESS_REVIEWS, review, &answer, why));
		if (checks_is_allowed(answer))
			continue;
		(void)why_set(&missing, ERR_DENIED, "an account that may install Handfast",
			"install with an account that has the role cluster-admin", "this account may not %s %s%s%s",
			verbs[i], resource, group[0] == '\0' ? "" : ".", group);
		findings_wrong(&check->findings, "permission", &missing);
	}
	return ERR_NONE;
}

static enum err run_permissions(struct check *check, struct why *why)
{
	static const char *const rows[][2] = {
#define PERMISSION(group, resource) {group, resource},
#include "cli/cluster/install_permissions.def"
#undef PERMISSION
	};
	unsigned before = check->findings.num_wrong;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		RETURN_IF_ERR(run_permission(check, rows[i][0], rows[i][1], why));
	if (check->findings.num_wrong == before)
		findings_well(&check->findings, "permission", "to get, create and patch all %zu kinds of objects",
			sizeof(rows) / sizeof(rows[0]));
	return ERR_NONE;
}

static enum err run_other_meshes(struct check *check, struct why *why)
{
	_cleanup_(json_decrefp) json_t *configurations = json_array();
	RETURN_IF_ERR(api_list(&check->api, CONFIGURATIONS, checks_collect, configurations, why));
	check_other_meshes(&check->findings, check->namespaces, configurations);
	return ERR_NONE;
}

enum err check_read_replicas(struct check *check, struct why *why)
{
	_cleanup_(mem_freep) char *path = control_pods_path(check->own_namespace);
	_cleanup_(json_decrefp) json_t *pods = json_array();
	if (check->replicas != NULL)
		return ERR_NONE;
	RETURN_IF_ERR(api_list(&check->api, path, checks_collect, pods, why));
	check->replicas = TAKE_PTR(pods);
	return ERR_NONE;
}

static enum err run_control(struct check *check, struct why *why)
{
	_cleanup_(json_decrefp) json_t *deployment = NULL;
	RETURN_IF_ERR(get_own(check, "apis/apps/v1", "deployments", "handfast-control", &deployment, why));
	RETURN_IF_ERR(check_read_replicas(check, why));
	check_control(&check->findings, deployment, check->replicas, check->own_namespace);
	return ERR_NONE;
}

static void check_authorities(struct check *check, const json_t *configuration)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(BUNDLE_MAX);
	const json_t *hook = json_array_get(json_object_get(configuration, "webhooks"), 0);
	const char *bundle = checks_text(json_object_get(hook, "clientConfig"), "caBundle");
	if (bundle[0] != '\0' && base64_decode(span_of_str(bundle), &pem) == ERR_NONE)
		check_webhook_certificate(&check->findings, buf_span(&pem), clock_system.wall_ms(&clock_system) / 1000);
}

static enum err run_registration(struct check *check, struct why *why)
{
	_cleanup_(json_decrefp) json_t *configuration = NULL;
	RETURN_IF_ERR(get(check, CONFIGURATIONS "/handfast", &configuration, why));
	check_registration(&check->findings, configuration);
	check_authorities(check, configuration);
	return ERR_NONE;
}

static enum err run_services(struct check *check, struct why *why)
{
	static const char *const names[] = {"handfast-control", "handfast-webhook"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_(json_decrefp) json_t *slices = json_array();
		_cleanup_(mem_freep) char *path = mem_printf("/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices"
							     "?labelSelector=kubernetes.io%%2Fservice-name%%3D%s",
			check->own_namespace, names[i]);
		RETURN_IF_ERR(api_list(&check->api, path, checks_collect, slices, why));
		check_service(&check->findings, names[i], slices);
	}
	return ERR_NONE;
}

static enum err run_definitions(struct check *check, struct why *why)
{
	static const char *const rows[][2] = {
#define DEFINITION(name, version) {name, version},
#include "cli/cluster/definitions.def"
#undef DEFINITION
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(json_decrefp) json_t *definition = NULL;
		_cleanup_(mem_freep) char *path =
			mem_printf("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/%s", rows[i][0]);
		RETURN_IF_ERR(get(check, path, &definition, why));
		check_definition(&check->findings, rows[i][0], rows[i][1], definition);
	}
	return ERR_NONE;
}

static enum err run_pod_security(struct check *check, struct why *why)
{
	_cleanup_(json_decrefp) json_t *agents = json_array();
	RETURN_IF_ERR(api_list(&check->api, "/apis/apps/v1/daemonsets?fieldSelector=metadata.name%3Dhandfast-cni",
		checks_collect, agents, why));
	check->has_cni = check_cni(&check->findings, agents);
	check_pod_security(&check->findings, check->namespaces, check->has_cni);
	return ERR_NONE;
}

/* Where the definition is not installed there are none; run_definitions() reports that. */
static enum err run_policies(struct check *check, struct why *why)
{
	_cleanup_(json_decrefp) json_t *policies = json_array();
	enum err err = api_list(&check->api, "/apis/handfast.dev/v1alpha1/policies", checks_collect, policies, why);
	if (err == ERR_NONE)
		check_policies(&check->findings, policies);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* A pod that the API server sends through the webhook and then does not keep. */
static enum err try_injection(struct check *check, const json_t *namespace_, struct why *why)
{
	const char *name = checks_name(namespace_);
	_cleanup_(mem_freep) char *path = mem_printf("/api/v1/namespaces/%s/pods?dryRun=All", name);
	_cleanup_(json_decrefp) json_t *pod = checks_trial_pod(), *answer = NULL;
	enum err err = api_create(&check->api, path, pod, &answer, why);
	if (err == ERR_DENIED)
		findings_well(&check->findings, "injection", "not tried: this account may create no pod in %s", name);
	if (err == ERR_DENIED)
		return ERR_NONE;
	if (err != ERR_NONE) {
		struct why refused = *why;
		if (strstr(refused.got, "denied the request") != NULL)
			return why_set(why, err, "a pod that gets a sidecar",
				"see the whole refusal: `kubectl get events --all-namespaces`; where the CNI plugin is "
				"installed, set kubernetes.cni: true and restart the control plane",
				"namespace %.63s: %s", name, refused.got);
		return why_set(why, err, "a webhook that answers",
			"see whether the control plane's replicas are ready, and their log; seconds after an install "
			"the nodes may not have the Service yet: try again",
			"%s", refused.got);
	}
	check_tried_injection(&check->findings, name, answer);
	const json_t *annotations = json_object_get(json_object_get(answer, "metadata"), "annotations");
	snprintf(check->release, sizeof(check->release), "%s", checks_text(annotations, "handfast.dev/version"));
	check_release(&check->findings, check->release);
	return ERR_NONE;
}

static enum err run_injection(struct check *check, struct why *why)
{
	for (size_t i = 0; i < json_array_size(check->namespaces); i++) {
		const json_t *one = json_array_get(check->namespaces, i);
		if (checks_is_labeled(one) && (check->has_cni || !checks_refuses_injection(one)))
			return try_injection(check, one, why);
	}
	return ERR_NONE;
}

static enum err run_left_registration(struct check *check, struct why *why)
{
	_cleanup_(json_decrefp) json_t *configuration = NULL, *own = NULL;
	_cleanup_(mem_freep) char *path = mem_printf("/api/v1/namespaces/%s", check->own_namespace);
	RETURN_IF_ERR(get(check, CONFIGURATIONS "/handfast", &configuration, why));
	RETURN_IF_ERR(get(check, path, &own, why));
	check_left_registration(&check->findings, configuration, own);
	return ERR_NONE;
}

/* --- which of them --- */

struct step {
	const char *name;
	enum err (*run)(struct check *check, struct why *why);
};

static const struct step before[] = {{"namespaces", run_namespaces}, {"permission", run_permissions},
	{"other-mesh", run_other_meshes}, {"pod-security", run_pod_security}, {NULL, NULL}};
static const struct step installed[] = {{"namespaces", run_namespaces}, {"control-plane", run_control},
	{"webhook", run_registration}, {"service", run_services}, {"definition", run_definitions},
	{"other-mesh", run_other_meshes}, {"pod-security", run_pod_security}, {"injection", run_injection},
	{"policy", run_policies}, {"pods", step_pods}, {"clock", step_clocks_and_roots}, {NULL, NULL}};
static const struct step uninstall[] = {
	{"namespaces", run_namespaces}, {"webhook", run_left_registration}, {"pods", step_pods_left}, {NULL, NULL}};

/* A step that cannot read what it needs is a finding: the others go on. */
static void run_steps(struct check *check, const struct step *steps)
{
	for (; steps->run != NULL; steps++) {
		struct why why = {0};
		if (steps->run(check, &why) != ERR_NONE)
			findings_wrong(&check->findings, steps->name, &why);
	}
}

static enum err run(struct check *check, const struct command_line *line, struct why *why)
{
	_cleanup_(json_decrefp) json_t *version = NULL;
	const char *own = command_line_value(line, "control-namespace");
	check->own_namespace = own != NULL ? own : CHECKS_CONTROL_NAMESPACE;
	check->namespaces = json_array();
	RETURN_IF_ERR(api_open(line, &check->api, why));
	RETURN_IF_ERR(api_get(&check->api, "/version", &version, why));
	check_server_version(&check->findings, version);
	step_clock(check);
	if (command_line_has(line, "pre"))
		run_steps(check, before);
	else if (command_line_has(line, "uninstall"))
		run_steps(check, uninstall);
	else
		run_steps(check, installed);
	_cleanup_(mem_freep) char *at = mem_printf("%s:%u", check->api.config->host, check->api.config->port);
	findings_print(&check->findings, at, line->json);
	return ERR_NONE;
}

bool cluster_check_is_wanted(const struct command_line *line)
{
	return api_is_asked_for(line) || command_line_has(line, "pre") || command_line_has(line, "uninstall");
}

/* It becomes part of a path. */
static bool is_name(const char *name)
{
	return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static bool are_flags_right(struct command_line *line)
{
	const char *own = command_line_value(line, "control-namespace");
	if (own != NULL && !is_name(own))
		command_line_error(line, "--control-namespace", "a namespace's name", own);
	if (command_line_has(line, "pre") && command_line_has(line, "uninstall"))
		command_line_error_text(line, "--pre", "--pre or --uninstall", "both are given");
	return buf_len(&line->errors) == 0;
}

enum cli_exit cluster_check(struct command_line *line)
{
	struct check check = {.expires_within_s = expiries_within_s(line)};
	if (!are_flags_right(line))
		return command_line_refuse(line);
	struct why why = {0};
	findings_init(&check.findings);
	enum err err = run(&check, line, &why);
	enum cli_exit code = err != ERR_NONE                ? command_line_fail(line, err, &why)
			     : check.findings.num_wrong > 0 ? CLI_REFUSED
							    : CLI_DONE;
	json_decref(check.namespaces);
	json_decref(check.replicas);
	findings_done(&check.findings);
	api_done(&check.api);
	return code;
}
