#include "base/core/clock.h"
#include "base/core/escape.h"
#include "base/core/fixed_ports.h"
#include "base/core/mem.h"
#include "base/core/version.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/cluster_steps.h"
#include "cli/cluster/degraded.h"
#include "cli/cluster/pod_page.h"
#include "cli/cluster/pod_sidecar.h"
#include "cli/cluster/pods.h"
#include "cli/cluster/services.h"
#include "cli/cluster/strict_ports.h"
#include <string.h>

/* Each sidecar takes some 30 ms: a check of a large cluster asks a part of them, and reports how many. */
enum { PAGE_MAX = 4096, ASK_MAX = 300, ASK_MS = 20000 };

struct walk { /* over all pods */
	struct pods *pods;
	struct services *services;
	json_t *to_ask; /* [[namespace, pod], ...] */
	unsigned num_running;
};

static void add_pod(void *arg, const json_t *pod)
{
	struct walk *walk = arg;
	struct why unused;
	enum pods_kind kind = pods_add(walk->pods, pod);
	services_add_pod(walk->services, pod, kind);
	if (kind != PODS_WITH_SIDECAR || pod_sidecar_judge(pod, &unused) != ERR_NONE)
		return;
	walk->num_running++;
	if (json_array_size(walk->to_ask) < ASK_MAX)
		json_array_append_new(
			walk->to_ask, json_pack("[s, s]", checks_text(json_object_get(pod, "metadata"), "namespace"),
					      checks_name(pod)));
}

static void add_slice(void *arg, const json_t *slice)
{
	services_add_slice(arg, slice);
}

/* The sidecar's own reason, through the API server's proxy: of its page of readiness the line of what failed. */
static bool ask_sidecar(void *arg, const char *namespace_, const char *pod, char *out, size_t cap)
{
	struct check *check = arg;
	struct why why;
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	_cleanup_(mem_freep) char *path =
		mem_printf("/api/v1/namespaces/%s/pods/%s:" FIXED_TEXT(FIXED_PORT_METRICS) "/proxy/healthz/ready",
			namespace_, pod);
	if (api_get_text(&check->api, path, &page, &why) != ERR_NONE)
		return false;
	const char *failed = strstr(buf_cstr(&page), "\nfailed: ");
	if (failed == NULL)
		return false; /* not the sidecar's answer, or it is ready by now */
	failed += 1;
	(void)escape_ascii(span_of(failed, strcspn(failed, "\n")), out, cap);
	return true;
}

/* A sidecar that does not answer is left out: other rows are about it. */
static void ask_sidecars(struct check *check, const struct walk *walk)
{
	struct strict_ports *ports = strict_ports_new();
	struct degraded *degraded = degraded_new();
	uint64_t end = clock_system.mono_ms(&clock_system) + ASK_MS;
	unsigned num_asked = 0;
	enum err err = ERR_NONE;
	for (size_t i = 0; i < json_array_size(walk->to_ask) && err != ERR_DENIED; i++) {
		const json_t *one = json_array_get(walk->to_ask, i);
		const char *space = json_string_value(json_array_get(one, 0));
		const char *pod = json_string_value(json_array_get(one, 1));
		_cleanup_(json_decrefp) json_t *page = NULL;
		struct why why;
		if (clock_system.mono_ms(&clock_system) >= end)
			break;
		err = pod_page_fetch(&check->api, space, pod, "/check", &page, &why);
		if (err != ERR_NONE)
			continue;
		num_asked++;
		strict_ports_add(ports, space, page);
		degraded_add(degraded, space, pod, page);
	}
	degraded_report(degraded, &check->findings);
	if (err == ERR_DENIED)
		findings_well(
			&check->findings, "strict", "not asked: this account may not get and create pods/portforward");
	else
		strict_ports_report(ports, num_asked, walk->num_running, &check->findings);
	strict_ports_free(ports);
	degraded_free(degraded);
}

static enum err walk_pods(struct check *check, struct walk *walk, struct why *why)
{
	RETURN_IF_ERR(api_list(&check->api, "/api/v1/pods", add_pod, walk, why));
	pods_ask(walk->pods, ask_sidecar, check);
	pods_report(walk->pods, &check->findings);
	RETURN_IF_ERR(
		api_list(&check->api, "/apis/discovery.k8s.io/v1/endpointslices", add_slice, walk->services, why));
	services_report(walk->services, &check->findings);
	ask_sidecars(check, walk);
	return ERR_NONE;
}

static struct pods *new_pods(const struct check *check)
{
	return pods_new(
		check->namespaces, check->own_namespace, check->release[0] != '\0' ? check->release : HANDFAST_VERSION);
}

enum err step_pods(struct check *check, struct why *why)
{
	struct walk walk = {
		.pods = new_pods(check), .services = services_new(check->namespaces), .to_ask = json_array()};
	enum err err = walk_pods(check, &walk, why);
	pods_free(walk.pods);
	services_free(walk.services);
	json_decref(walk.to_ask);
	return err;
}

static void add_pod_left(void *arg, const json_t *pod)
{
	(void)pods_add(arg, pod);
}

enum err step_pods_left(struct check *check, struct why *why)
{
	struct pods *pods = new_pods(check);
	enum err err = api_list(&check->api, "/api/v1/pods", add_pod_left, pods, why);
	if (err == ERR_NONE)
		pods_report_left(pods, &check->findings);
	pods_free(pods);
	return err;
}
