/* Before an install: the server, permissions, other meshes. */
#include "base/core/number.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/selector.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Native sidecars, restartPolicy Always of init containers, without a feature gate. */
enum { MAJOR_NEEDED = 1, MINOR_NEEDED = 29 };

bool checks_is_labeled(const json_t *namespace_)
{
	const char *name = checks_name(namespace_);
	if (json_object_get(json_object_get(namespace_, "metadata"), "deletionTimestamp") != NULL)
		return false;
	return strcmp(checks_label(namespace_, CHECKS_LABEL), "enabled") == 0 && strcmp(name, "kube-system") != 0 &&
	       strcmp(name, "kube-node-lease") != 0;
}

/* "29+" of some providers is 29. */
static unsigned number_of(const char *text)
{
	struct span rest = span_of_str(text);
	return (unsigned)number_take(&rest, 999999);
}

void check_server_version(struct findings *findings, const json_t *version)
{
	unsigned major = number_of(checks_text(version, "major")), minor = number_of(checks_text(version, "minor"));
	const char *name = checks_text(version, "gitVersion");
	struct why why;
	if (major > MAJOR_NEEDED || (major == MAJOR_NEEDED && minor >= MINOR_NEEDED)) {
		findings_well(findings, "server-version", "Kubernetes %s", name);
		return;
	}
	(void)why_set(&why, ERR_UNSUPPORTED, "Kubernetes 1.29 or newer, which has native sidecars",
		"upgrade the cluster", "the API server is Kubernetes %.64s", name[0] == '\0' ? "of no version" : name);
	findings_wrong(findings, "server-version", &why);
}

json_t *checks_access_review(const char *group, const char *resource, const char *verb)
{
	return json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s}}}", "apiVersion", "authorization.k8s.io/v1", "kind",
		"SelfSubjectAccessReview", "spec", "resourceAttributes", "group", group, "resource", resource, "verb",
		verb);
}

bool checks_is_allowed(const json_t *review)
{
	return json_is_true(json_object_get(json_object_get(review, "status"), "allowed"));
}

/* --- other meshes --- */

static const struct other_mesh {
	const char *domain, *name;
	const char *annotation; /* of a namespace, where the webhook itself decides by it; NULL: its selector does */
} other_meshes[] = {
	{"istio.io", "Istio", NULL},
	{"linkerd.io", "Linkerd", "linkerd.io/inject"},
	{"kuma.io", "Kuma", NULL},
	{"consul.hashicorp.com", "Consul", NULL},
	{"openservicemesh.io", "Open Service Mesh", NULL},
	{"osm-inject.k8s.io", "Open Service Mesh", NULL},
};

static const struct other_mesh *mesh_of(const char *webhook)
{
	size_t len = strlen(webhook);
	for (size_t i = 0; i < sizeof(other_meshes) / sizeof(other_meshes[0]); i++) {
		size_t domain_len = strlen(other_meshes[i].domain);
		if (len >= domain_len && strcmp(webhook + len - domain_len, other_meshes[i].domain) == 0)
			return &other_meshes[i];
	}
	return NULL;
}

static bool takes_pods(const json_t *webhook)
{
	const json_t *rules = json_object_get(webhook, "rules");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *resources = json_object_get(json_array_get(rules, i), "resources");
		for (size_t j = 0; j < json_array_size(resources); j++) {
			const char *resource = json_string_value(json_array_get(resources, j));
			if (resource != NULL && (strcmp(resource, "pods") == 0 || strcmp(resource, "*") == 0))
				return true;
		}
	}
	return false;
}

static bool mesh_takes(const struct other_mesh *mesh, const json_t *webhook, const json_t *namespace_)
{
	const json_t *metadata = json_object_get(namespace_, "metadata");
	if (!selector_matches(json_object_get(webhook, "namespaceSelector"), json_object_get(metadata, "labels")))
		return false;
	/* One that takes single pods by a label of theirs takes none that has no label. */
	if (!selector_matches(json_object_get(webhook, "objectSelector"), NULL))
		return false;
	if (mesh->annotation == NULL)
		return true;
	const char *value = checks_text(json_object_get(metadata, "annotations"), mesh->annotation);
	return value[0] != '\0' && strcmp(value, "disabled") != 0;
}

static void check_webhook(struct findings *findings, const json_t *namespaces, const json_t *webhook)
{
	const struct other_mesh *mesh = mesh_of(checks_text(webhook, "name"));
	struct why why;
	for (size_t i = 0; i < json_array_size(namespaces) && mesh != NULL && takes_pods(webhook); i++) {
		const json_t *one = json_array_get(namespaces, i);
		if (!checks_is_labeled(one) || !mesh_takes(mesh, webhook, one))
			continue;
		(void)why_set(&why, ERR_CONFLICT, "one mesh per namespace",
			"remove the other mesh's label or annotation from the namespace, or " CHECKS_LABEL,
			"the webhook %.100s of %s also takes the pods of namespace %.64s", checks_text(webhook, "name"),
			mesh->name, checks_name(one));
		findings_wrong(findings, "other-mesh", &why);
	}
}

void check_other_meshes(struct findings *findings, const json_t *namespaces, const json_t *configurations)
{
	unsigned before = findings->num_wrong;
	for (size_t i = 0; i < json_array_size(configurations); i++) {
		const json_t *webhooks = json_object_get(json_array_get(configurations, i), "webhooks");
		for (size_t j = 0; j < json_array_size(webhooks); j++)
			check_webhook(findings, namespaces, json_array_get(webhooks, j));
	}
	if (findings->num_wrong == before)
		findings_well(findings, "other-mesh", "no other mesh takes the namespaces with the label");
}
