#include "cli/cluster/cluster_check.h"
#include "base/core/escape.h"
#include "base/core/mem.h"
#include "base/core/version.h"
#include "cli/cluster/api.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/pods.h"
#include <stdio.h>
#include <string.h>

#define CONFIGURATIONS "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
#define ACCESS_REVIEWS "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

enum { PAGE_MAX = 4096 };

struct check {
	struct api api;
	struct findings findings;
	const char *own_namespace;
	json_t *namespaces;
	bool has_cni;
	char release[64]; /* of the control plane, by the pod that was tried; "": not known */
};

static void json_release(json_t **json)
{
	json_decref(*json);
}

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
		_cleanup_(json_release) json_t *review = checks_access_review(group, resource, verbs[i]),
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
	_cleanup_(json_release) json_t *configurations = json_array();
	RETURN_IF_ERR(api_list(&check->api, CONFIGURATIONS, checks_collect, configurations, why));
	check_other_meshes(&check->findings, check->namespaces, configurations);
	return ERR_NONE;
}

static enum err run_control(struct check *check, struct why *why)
{
	_cleanup_(json_release) json_t *deployment = NULL, *pods = json_array();
	_cleanup_(mem_freep) char *path =
		mem_printf("/api/v1/namespaces/%s/pods?labelSelector=app.kubernetes.io%%2Fname%%3Dhandfast-control",
			check->own_namespace);
	RETURN_IF_ERR(get_own(check, "apis/apps/v1", "deployments", "handfast-control", &deployment, why));
	RETURN_IF_ERR(api_list(&check->api, path, checks_collect, pods, why));
	check_control(&check->findings, deployment, pods, check->own_namespace);
	return ERR_NONE;
}

static enum err run_registration(struct check *check, struct why *why)
{
	_cleanup_(json_release) json_t *configuration = NULL;
	RETURN_IF_ERR(get(check, CONFIGURATIONS "/handfast", &configuration, why));
	check_registration(&check->findings, configuration);
	return ERR_NONE;
}

static enum err run_services(struct check *check, struct why *why)
{
	static const char *const names[] = {"handfast-control", "handfast-webhook"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_(json_release) json_t *slices = json_array();
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
		_cleanup_(json_release) json_t *definition = NULL;
		_cleanup_(mem_freep) char *path =
			mem_printf("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/%s", rows[i][0]);
		RETURN_IF_ERR(get(check, path, &definition, why));
		check_definition(&check->findings, rows[i][0], rows[i][1], definition);
	}
	return ERR_NONE;
}

static enum err run_pod_security(struct check *check, struct why *why)
{
	_cleanup_(json_release) json_t *agents = json_array();
	RETURN_IF_ERR(api_list(&check->api, "/apis/apps/v1/daemonsets?fieldSelector=metadata.name%3Dhandfast-cni",
		checks_collect, agents, why));
	check->has_cni = check_cni(&check->findings, agents);
	check_pod_security(&check->findings, check->namespaces, check->has_cni);
	return ERR_NONE;
}

/* A pod that the API server sends through the webhook and then does not keep. */
static enum err try_injection(struct check *check, const json_t *namespace_, struct why *why)
{
	const char *name = checks_name(namespace_);
	_cleanup_(mem_freep) char *path = mem_printf("/api/v1/namespaces/%s/pods?dryRun=All", name);
	_cleanup_(json_release) json_t *pod = checks_trial_pod(), *answer = NULL;
	enum err err = api_create(&check->api, path, pod, &answer, why);
	if (err == ERR_DENIED)
		findings_well(&check->findings, "injection", "not tried: this account may create no pod in %s", name);
	if (err == ERR_DENIED)
		return ERR_NONE;
	if (err != ERR_NONE) {
		struct why refused = *why;
		return why_set(why, err, "a webhook that answers",
			"see whether the control plane's replicas are ready, and their log", "%s", refused.got);
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

static void add_pod(void *arg, const json_t *pod)
{
	pods_add(arg, pod);
}

/* The sidecar's own reason, through the API server's proxy: of its page of readiness the line of what failed. */
static bool ask_sidecar(void *arg, const char *namespace_, const char *pod, char *out, size_t cap)
{
	struct check *check = arg;
	struct why why;
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	_cleanup_(mem_freep) char *path =
		mem_printf("/api/v1/namespaces/%s/pods/%s:15020/proxy/healthz/ready", namespace_, pod);
	if (api_get_text(&check->api, path, &page, &why) != ERR_NONE)
		return false;
	const char *failed = strstr(buf_cstr(&page), "\nfailed: ");
	if (failed == NULL)
		return false; /* not the sidecar's answer, or it is ready by now */
	failed += 1;
	(void)escape_ascii(span_of(failed, strcspn(failed, "\n")), out, cap);
	return true;
}

static enum err run_pods_of(struct check *check, bool is_uninstall, struct why *why)
{
	struct pods *pods = pods_new(
		check->namespaces, check->own_namespace, check->release[0] != '\0' ? check->release : HANDFAST_VERSION);
	enum err err = api_list(&check->api, "/api/v1/pods", add_pod, pods, why);
	if (err == ERR_NONE && !is_uninstall)
		pods_ask(pods, ask_sidecar, check);
	if (err == ERR_NONE)
		(is_uninstall ? pods_report_left : pods_report)(pods, &check->findings);
	pods_free(pods);
	return err;
}

static enum err run_pods(struct check *check, struct why *why)
{
	return run_pods_of(check, false, why);
}

static enum err run_pods_left(struct check *check, struct why *why)
{
	return run_pods_of(check, true, why);
}

static enum err run_left_registration(struct check *check, struct why *why)
{
	_cleanup_(json_release) json_t *configuration = NULL, *own = NULL;
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
	{"pods", run_pods}, {NULL, NULL}};
static const struct step uninstall[] = {
	{"namespaces", run_namespaces}, {"webhook", run_left_registration}, {"pods", run_pods_left}, {NULL, NULL}};

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
	_cleanup_(json_release) json_t *version = NULL;
	const char *own = command_line_value(line, "control-namespace");
	check->own_namespace = own != NULL ? own : CHECKS_CONTROL_NAMESPACE;
	check->namespaces = json_array();
	RETURN_IF_ERR(api_open(line, &check->api, why));
	RETURN_IF_ERR(api_get(&check->api, "/version", &version, why));
	check_server_version(&check->findings, version);
	if (command_line_has(line, "pre"))
		run_steps(check, before);
	else if (command_line_has(line, "uninstall"))
		run_steps(check, uninstall);
	else
		run_steps(check, installed);
	_cleanup_(mem_freep) char *at = mem_printf("%s:%u", check->api.config.host, check->api.config.port);
	findings_print(&check->findings, at, line->json);
	return ERR_NONE;
}

bool cluster_check_is_wanted(const struct command_line *line)
{
	static const char *const flags[] = {"cluster", "pre", "uninstall", "kubeconfig", "control-namespace"};
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (command_line_value(line, flags[i]) != NULL)
			return true;
	return false;
}

bool cluster_check_is_possible(const struct command_line *line)
{
	_cleanup_(mem_freep) char *path = api_kubeconfig(line);
	return path != NULL;
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
	if (!are_flags_right(line))
		return command_line_refuse(line);
	struct check check = {0};
	struct why why = {0};
	findings_init(&check.findings);
	enum err err = run(&check, line, &why);
	enum cli_exit code = err != ERR_NONE                ? command_line_fail(line, err, &why)
			     : check.findings.num_wrong > 0 ? CLI_REFUSED
							    : CLI_DONE;
	json_decref(check.namespaces);
	findings_done(&check.findings);
	api_done(&check.api);
	return code;
}
