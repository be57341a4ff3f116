#include "cli/cluster/services.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 100 };

/* Objects in memory, by name: of a cluster's largest, with 150,000 pods, some 20 MB. */
struct services {
	const json_t *namespaces;
	json_t *pods;  /* {namespace: {pod: kind}}, of namespaces with the label */
	json_t *found; /* {namespace: {Service: [with a sidecar, without, outside]}} */
};

struct services *services_new(const json_t *namespaces)
{
	struct services *services = mem_new(struct services);
	*services = (struct services){namespaces, json_object(), json_object()};
	for (size_t i = 0; i < json_array_size(namespaces); i++) {
		const json_t *one = json_array_get(namespaces, i);
		if (checks_is_labeled(one))
			CHECK(json_object_set_new(services->pods, checks_name(one), json_object()) == 0);
	}
	return services;
}

void services_free(struct services *services)
{
	if (services == NULL)
		return;
	json_decref(services->pods);
	json_decref(services->found);
	mem_free(services);
}

static json_t *of_namespace(const json_t *all, const json_t *object)
{
	return json_object_get(all, checks_text(json_object_get(object, "metadata"), "namespace"));
}

void services_add_pod(struct services *services, const json_t *pod, enum pods_kind kind)
{
	json_t *pods = of_namespace(services->pods, pod);
	if (pods != NULL)
		CHECK(json_object_set_new(pods, checks_name(pod), json_integer(kind)) == 0);
}

/* An endpoint that is no pod is outside of the mesh. */
static enum pods_kind kind_of(const json_t *pods, const json_t *endpoint)
{
	const json_t *target = json_object_get(endpoint, "targetRef");
	const json_t *kind = strcmp(checks_text(target, "kind"), "Pod") == 0
				     ? json_object_get(pods, checks_text(target, "name"))
				     : NULL;
	return kind == NULL ? PODS_OUTSIDE : (enum pods_kind)json_integer_value(kind);
}

void services_add_slice(struct services *services, const json_t *slice)
{
	const char *space = checks_text(json_object_get(slice, "metadata"), "namespace");
	const char *name = checks_label(slice, "kubernetes.io/service-name");
	const json_t *pods = of_namespace(services->pods, slice), *endpoints = json_object_get(slice, "endpoints");
	if (pods == NULL || name[0] == '\0' || json_array_size(endpoints) == 0)
		return;
	json_t *of_space = checks_member(services->found, space, json_object());
	json_t *counts = checks_member(of_space, name, json_pack("[i, i, i]", 0, 0, 0));
	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		json_t *count = json_array_get(counts, kind_of(pods, json_array_get(endpoints, i)));
		CHECK(json_integer_set(count, json_integer_value(count) + 1) == 0);
	}
}

static bool has(const json_t *counts, enum pods_kind kind)
{
	return json_integer_value(json_array_get(counts, kind)) > 0;
}

static void report_bare(const char *space, unsigned num, const char *names, struct findings *findings)
{
	char fix[192];
	struct why why;
	snprintf(fix, sizeof(fix), "create their pods again: " CHECKS_RESTART, space);
	(void)why_set(&why, ERR_CONFIG, "a sidecar at an endpoint: calls to these Services are not encrypted", fix,
		"%u %s of namespace %.64s %s no endpoint with a sidecar: %s%s", num, num == 1 ? "Service" : "Services",
		space, num == 1 ? "has" : "have", names, num > 3 ? ", ..." : "");
	findings_wrong(findings, "services", &why);
}

void services_report(const struct services *services, struct findings *findings)
{
	const char *space, *name;
	json_t *of_space, *counts;
	unsigned num_with = 0, num_outside = 0;
	json_object_foreach(services->found, space, of_space)
	{
		char names[NAMES_MAX] = "";
		unsigned num_bare = 0;
		json_object_foreach(of_space, name, counts)
		{
			size_t len = strlen(names);
			if (has(counts, PODS_WITH_SIDECAR))
				num_with++;
			else if (!has(counts, PODS_WITHOUT_SIDECAR))
				num_outside++;
			else if (num_bare++ < 3)
				snprintf(names + len, NAMES_MAX - len, "%s%.63s", len == 0 ? "" : ", ", name);
		}
		if (num_bare > 0)
			report_bare(space, num_bare, names, findings);
	}
	findings_well(findings, "services",
		"%u with a sidecar at an endpoint; all endpoints of %u stay outside by their own annotation or kind",
		num_with, num_outside);
}
