#include "cli/cluster/pods.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include "control/kube/inject.h"
#include <stdio.h>
#include <string.h>

enum { NAME_MAX = 64, NAMES_MAX = 100, REASON_MAX = 112 };

#define PROBE_FAILS "it runs, and its probe fails"

enum trouble { WITHOUT_SIDECAR, ASKS_IN_VAIN, OLDER, NOT_READY, NUM_TROUBLES };

struct tally { /* of a namespace */
	const char *name;
	const json_t *namespace_; /* NULL: made after the namespaces were listed */
	unsigned num_with, num[NUM_TROUBLES];
	char names[NUM_TROUBLES][NAMES_MAX]; /* the first ones */
	char reason[REASON_MAX];             /* of the first that is not ready */
	char running[NAME_MAX];              /* the first that is not ready and can be asked; "": none */
};

struct pods {
	const char *own_namespace, *release;
	struct tally *tallies;
	size_t num_tallies;
	unsigned num_with, num_outside;
};

struct pods *pods_new(const json_t *namespaces, const char *own_namespace, const char *release)
{
	struct pods *pods = mem_new(struct pods);
	pods->own_namespace = own_namespace;
	pods->release = release;
	pods->num_tallies = json_array_size(namespaces);
	pods->tallies = mem_calloc(pods->num_tallies + 1, sizeof(*pods->tallies));
	for (size_t i = 0; i < pods->num_tallies; i++) {
		pods->tallies[i].namespace_ = json_array_get(namespaces, i);
		pods->tallies[i].name = checks_name(pods->tallies[i].namespace_);
	}
	return pods;
}

void pods_free(struct pods *pods)
{
	if (pods == NULL)
		return;
	mem_free(pods->tallies);
	mem_free(pods);
}

static struct tally *tally_of(struct pods *pods, const char *namespace_)
{
	for (size_t i = 0; i < pods->num_tallies; i++)
		if (strcmp(pods->tallies[i].name, namespace_) == 0)
			return &pods->tallies[i];
	return NULL;
}

/* --- one pod --- */

static const char *annotation(const json_t *pod, const char *name)
{
	return checks_text(json_object_get(json_object_get(pod, "metadata"), "annotations"), name);
}

static bool has_sidecar(const json_t *pod)
{
	const json_t *spec = json_object_get(pod, "spec");
	return strcmp(annotation(pod, INJECT_ANNOTATIONS "injected"), "true") == 0 &&
	       (checks_named(json_object_get(spec, "initContainers"), "handfast") != NULL ||
		       checks_named(json_object_get(spec, "containers"), "handfast") != NULL);
}

static bool is_over(const json_t *pod)
{
	const char *phase = checks_text(json_object_get(pod, "status"), "phase");
	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 ||
	       json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp") != NULL;
}

/* Whether the webhook leaves it as it is: the webhook's own rules decide, and its objectSelector. */
static bool is_left_alone(const struct pods *pods, const struct tally *tally, const json_t *pod)
{
	const struct inject_options options = {.sidecar_image = "",
		.init_image = "",
		.version = pods->release,
		.trust_domain = "",
		.bootstrap_root_sha256 = "",
		.audience = "",
		.own_namespace = pods->own_namespace,
		.has_cni = true};
	const struct inject_namespace ns = {.name = tally->name};
	struct inject_result result = {0};
	if (strcmp(checks_label(pod, CHECKS_LABEL), "disabled") == 0)
		return true;
	inject_pod(pod, &ns, &options, &result);
	bool is_left = result.verdict == INJECT_LEAVE;
	inject_result_done(&result);
	return is_left;
}

static void note(struct tally *tally, enum trouble trouble, const json_t *pod)
{
	char *names = tally->names[trouble];
	size_t len = strlen(names);
	if (tally->num[trouble]++ < 3)
		snprintf(names + len, NAMES_MAX - len, "%s%.60s", len == 0 ? "" : ", ", checks_name(pod));
}

/* Why the container is not ready, as kubelet reports it. False: it is. */
static bool reason_of(const json_t *statuses, const char *container, char out[REASON_MAX])
{
	const json_t *status = checks_named(statuses, container);
	if (status == NULL || json_is_true(json_object_get(status, "ready")))
		return false;
	if (!checks_state(status, container, out, REASON_MAX))
		snprintf(out, REASON_MAX, PROBE_FAILS);
	return true;
}

static bool is_not_ready(const json_t *pod, char reason[REASON_MAX])
{
	const json_t *status = json_object_get(pod, "status");
	const json_t *inits = json_object_get(status, "initContainerStatuses");
	return reason_of(inits, "handfast-init", reason) || reason_of(inits, "handfast", reason) ||
	       reason_of(json_object_get(status, "containerStatuses"), "handfast", reason);
}

static void add_with_sidecar(struct pods *pods, struct tally *tally, const json_t *pod)
{
	char reason[REASON_MAX] = "";
	pods->num_with++;
	tally->num_with++;
	if (strcmp(annotation(pod, INJECT_ANNOTATIONS "version"), pods->release) != 0)
		note(tally, OLDER, pod);
	if (!is_not_ready(pod, reason))
		return;
	if (tally->num[NOT_READY] == 0)
		snprintf(tally->reason, REASON_MAX, "%s", reason);
	if (tally->running[0] == '\0' && strcmp(reason, PROBE_FAILS) == 0)
		snprintf(tally->running, NAME_MAX, "%.63s", checks_name(pod));
	note(tally, NOT_READY, pod);
}

/* By itself: the webhook is called for namespaces with the label alone. */
static bool asks_for_sidecar(const json_t *pod)
{
	return strcmp(checks_label(pod, CHECKS_LABEL), "enabled") == 0 ||
	       strcmp(annotation(pod, INJECT_ANNOTATIONS "inject"), "enabled") == 0;
}

enum pods_kind pods_add(struct pods *pods, const json_t *pod)
{
	struct tally *tally = tally_of(pods, checks_text(json_object_get(pod, "metadata"), "namespace"));
	if (tally == NULL || is_over(pod))
		return PODS_OUTSIDE; /* a namespace that is newer than the list of them */
	if (has_sidecar(pod)) {
		add_with_sidecar(pods, tally, pod);
		return PODS_WITH_SIDECAR;
	}
	if (!checks_is_labeled(tally->namespace_)) {
		if (asks_for_sidecar(pod))
			note(tally, ASKS_IN_VAIN, pod);
		return PODS_OUTSIDE;
	}
	if (is_left_alone(pods, tally, pod)) {
		pods->num_outside++;
		return PODS_OUTSIDE;
	}
	note(tally, WITHOUT_SIDECAR, pod);
	return PODS_WITHOUT_SIDECAR;
}

void pods_ask(struct pods *pods, pods_ask_fn *ask, void *arg)
{
	char reason[REASON_MAX];
	for (size_t i = 0; i < pods->num_tallies; i++) {
		struct tally *tally = &pods->tallies[i];
		if (tally->running[0] != '\0' && ask(arg, tally->name, tally->running, reason, sizeof(reason)))
			snprintf(tally->reason, REASON_MAX, "%s", reason);
	}
}

/* --- reports --- */

static const char *more(const struct tally *tally, enum trouble trouble)
{
	return tally->num[trouble] > 3 ? ", ..." : "";
}

#define RESTART_BEFORE "restart them: `kubectl -n "
#define RESTART_AFTER  " rollout restart " CHECKS_RESTARTED "`"

/* What pods of a namespace lack: the name of the namespace stands between both parts of the fix. */
static const struct lack {
	const char *row, *expected, *what, *fix_before, *fix_after;
} lacks[] = {
	[WITHOUT_SIDECAR] = {"pods-without-sidecar", "a sidecar in each pod of a namespace with the label",
		"no sidecar", RESTART_BEFORE, RESTART_AFTER},
	[ASKS_IN_VAIN] = {"namespace-label",
		"the label at the namespace too: the webhook is called only for pods of such namespaces",
		CHECKS_LABEL ": enabled, and no sidecar", "run `kubectl label namespace ",
		" " CHECKS_LABEL "=enabled`, then rollout restart its " CHECKS_RESTARTED},
	[OLDER] = {"sidecar-version", "sidecars of the control plane's release", "a sidecar of another release",
		RESTART_BEFORE, RESTART_AFTER},
};

static void report_lack(const struct tally *tally, enum trouble trouble, struct findings *findings)
{
	const struct lack *lack = &lacks[trouble];
	char fix[192];
	struct why why;
	unsigned num = tally->num[trouble];
	if (num == 0)
		return;
	snprintf(fix, sizeof(fix), "%s%.64s%s", lack->fix_before, tally->name, lack->fix_after);
	(void)why_set(&why, ERR_CONFIG, lack->expected, fix, "%u %s of namespace %.64s %s %s: %s%s", num,
		num == 1 ? "pod" : "pods", tally->name, num == 1 ? "has" : "have", lack->what, tally->names[trouble],
		more(tally, trouble));
	findings_wrong(findings, lack->row, &why);
}

static void report_not_ready(const struct tally *tally, struct findings *findings)
{
	char fix[192];
	struct why why;
	unsigned num = tally->num[NOT_READY];
	if (num == 0)
		return;
	snprintf(fix, sizeof(fix), "run `kubectl -n %.64s logs POD -c handfast`", tally->name);
	(void)why_set(&why, ERR_UNAVAILABLE, "a sidecar that is ready", fix,
		"%u %s of namespace %.40s not ready: %s%s (%s)", num, num == 1 ? "sidecar" : "sidecars", tally->name,
		tally->names[NOT_READY], more(tally, NOT_READY), tally->reason);
	findings_wrong(findings, "sidecar-ready", &why);
}

void pods_report(const struct pods *pods, struct findings *findings)
{
	for (size_t i = 0; i < pods->num_tallies; i++) {
		for (enum trouble trouble = 0; trouble < sizeof lacks / sizeof lacks[0]; trouble++)
			report_lack(&pods->tallies[i], trouble, findings);
		report_not_ready(&pods->tallies[i], findings);
	}
	findings_well(findings, "pods", "%u with a sidecar; %u stay outside by their own annotation or kind",
		pods->num_with, pods->num_outside);
}

void pods_report_left(const struct pods *pods, struct findings *findings)
{
	for (size_t i = 0; i < pods->num_tallies; i++) {
		const struct tally *tally = &pods->tallies[i];
		char fix[192];
		struct why why;
		if (tally->num_with == 0)
			continue;
		snprintf(fix, sizeof(fix),
			"run `kubectl label namespace %.64s " CHECKS_LABEL
			"-`, then rollout restart its " CHECKS_RESTARTED,
			tally->name);
		(void)why_set(&why, ERR_CONFIG, "no sidecar before the control plane goes", fix,
			"%u %s of namespace %.64s still %s a sidecar", tally->num_with,
			tally->num_with == 1 ? "pod" : "pods", tally->name, tally->num_with == 1 ? "has" : "have");
		findings_wrong(findings, "pods-with-sidecar", &why);
	}
	if (pods->num_with == 0)
		findings_well(findings, "pods", "none has a sidecar");
}
