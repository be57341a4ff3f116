#include "intercept/cni/node_pods.h"
#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/mem.h"
#include <stdio.h>
#include <string.h>

#define ANNOTATION_PREFIX "handfast.dev/"

struct node_pod {
	struct list_link link;
	struct cni_pod id;
	bool is_static;  /* the mirror of a pod of kubelet's own, whose uid is another one */
	bool is_current; /* put since the last begin */
	enum node_pods_verdict verdict;
	struct node_pod_rules *rules; /* NODE_POD_NEEDS_RULES */
	const char *too_long;         /* NODE_POD_REFUSED: an annotation's name */
};

struct node_pods {
	struct list pods;
	unsigned num;
	bool is_over;
};

struct node_pods *node_pods_new(void)
{
	return mem_new(struct node_pods);
}

static void forget(struct node_pods *pods, struct node_pod *pod)
{
	CHECK(pods->num > 0);
	pods->num--;
	list_remove(&pod->link);
	mem_free(pod->rules);
	mem_free(pod);
}

void node_pods_free(struct node_pods *pods)
{
	LIST_EACH_REMOVABLE(&pods->pods, struct node_pod, pod, link)
		forget(pods, pod);
	mem_free(pods);
}

void node_pods_begin(struct node_pods *pods)
{
	pods->is_over = false;
	LIST_EACH(&pods->pods, struct node_pod, pod, link)
		pod->is_current = false;
}

void node_pods_synced(struct node_pods *pods)
{
	LIST_EACH_REMOVABLE(&pods->pods, struct node_pod, pod, link)
		if (!pod->is_current)
			forget(pods, pod);
}

bool node_pods_is_over(const struct node_pods *pods)
{
	return pods->is_over;
}

static struct node_pod *find(const struct node_pods *pods, const struct cni_pod *id)
{
	LIST_EACH(&pods->pods, struct node_pod, pod, link)
		if (strcmp(pod->id.name, id->name) == 0 && strcmp(pod->id.namespace_, id->namespace_) == 0)
			return pod;
	return NULL;
}

/* --- an object --- */

static bool take(const json_t *object, const char *key, char *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL && text[0] != '\0' && snprintf(out, cap, "%s", text) < (int)cap;
}

static bool read_id(const json_t *object, struct cni_pod *out)
{
	const json_t *metadata = json_object_get(object, "metadata");
	return take(metadata, "namespace", out->namespace_, sizeof out->namespace_) &&
	       take(metadata, "name", out->name, sizeof out->name) && take(metadata, "uid", out->uid, sizeof out->uid);
}

/* The item of that name, such as a container; NULL: none. */
static const json_t *named(const json_t *list, const char *name)
{
	const json_t *one;
	size_t i;
	json_array_foreach(list, i, one)
	{
		const char *given = json_string_value(json_object_get(one, "name"));
		if (given != NULL && strcmp(given, name) == 0)
			return one;
	}
	return NULL;
}

static const json_t *sidecar_of(const json_t *spec)
{
	const json_t *found = named(json_object_get(spec, "initContainers"), "handfast");
	return found != NULL ? found : named(json_object_get(spec, "containers"), "handfast");
}

/* Only injection sets the annotation; a container of that name alone may be the author's own. */
static bool needs_rules(const json_t *spec, const json_t *annotations)
{
	const char *injected = json_string_value(json_object_get(annotations, ANNOTATION_PREFIX "injected"));
	return injected != NULL && injected[0] != '\0' && !json_is_true(json_object_get(spec, "hostNetwork")) &&
	       sidecar_of(spec) != NULL && named(json_object_get(spec, "initContainers"), "handfast-init") == NULL;
}

/* False: the value does not fit. */
static bool take_packed(const json_t *annotations, const char *name, char out[NODE_POD_VALUE_MAX])
{
	const char *text = json_string_value(json_object_get(annotations, name));
	size_t len = 0;
	for (; text != NULL && *text != '\0'; text++) {
		if (len == NODE_POD_VALUE_MAX - 1)
			return false;
		if (*text != ' ')
			out[len++] = *text;
	}
	out[len] = '\0';
	return true;
}

static bool has_tproxy(const json_t *sidecar)
{
	const json_t *variable = named(json_object_get(sidecar, "env"), "HANDFAST_SIDECAR_INTERCEPTION");
	const char *mode = json_string_value(json_object_get(variable, "value"));
	return mode != NULL && strcmp(mode, "tproxy") == 0;
}

static void read_rules(const json_t *spec, const json_t *annotations, struct node_pod *pod)
{
	static const char inbound[] = ANNOTATION_PREFIX "exclude-inbound-ports",
			  outbound[] = ANNOTATION_PREFIX "exclude-outbound-ports",
			  networks[] = ANNOTATION_PREFIX "exclude-outbound-networks";
	struct node_pod_rules *rules = pod->rules = mem_new(struct node_pod_rules);
	pod->verdict = NODE_POD_NEEDS_RULES;
	pod->too_long = NULL;
	rules->keeps_source = has_tproxy(sidecar_of(spec));
	if (!take_packed(annotations, inbound, rules->exclude_inbound_ports))
		pod->too_long = inbound;
	else if (!take_packed(annotations, outbound, rules->exclude_outbound_ports))
		pod->too_long = outbound;
	else if (!take_packed(annotations, networks, rules->exclude_outbound_networks))
		pod->too_long = networks;
	if (pod->too_long != NULL)
		pod->verdict = NODE_POD_REFUSED;
}

enum err node_pods_put(struct node_pods *pods, const json_t *object)
{
	struct cni_pod id;
	const json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");
	if (!read_id(object, &id))
		return ERR_MALFORMED;
	struct node_pod *pod = find(pods, &id);
	if (pod == NULL && pods->num == NODE_PODS_MAX) {
		pods->is_over = true;
		return ERR_LIMIT;
	}
	if (pod == NULL) {
		pod = mem_new(struct node_pod);
		list_push_back(&pods->pods, &pod->link);
		pods->num++;
	}
	mem_free(pod->rules);
	pod->rules = NULL;
	pod->id = id;
	pod->is_current = true;
	pod->is_static = json_object_get(annotations, "kubernetes.io/config.mirror") != NULL;
	pod->verdict = NODE_POD_PASSES;
	const json_t *spec = json_object_get(object, "spec");
	if (!pod->is_static && needs_rules(spec, annotations))
		read_rules(spec, annotations, pod);
	return ERR_NONE;
}

void node_pods_deleted(struct node_pods *pods, const json_t *object)
{
	struct cni_pod id;
	struct node_pod *pod = read_id(object, &id) ? find(pods, &id) : NULL;
	if (pod != NULL && strcmp(pod->id.uid, id.uid) == 0)
		forget(pods, pod);
}

enum node_pods_verdict node_pods_judge(
	const struct node_pods *pods, const struct cni_pod *asked, struct node_pod_rules *out, struct why *why)
{
	const struct node_pod *pod = find(pods, asked);
	if (pod == NULL || (!pod->is_static && asked->uid[0] != '\0' && strcmp(pod->id.uid, asked->uid) != 0))
		return NODE_POD_UNKNOWN;
	if (pod->verdict == NODE_POD_NEEDS_RULES)
		*out = *pod->rules;
	else if (pod->verdict == NODE_POD_REFUSED)
		why_set(why, ERR_TOO_LARGE, "an annotation of less than 1024 bytes", "list fewer ports or networks",
			"the pod's annotation %s is too long", pod->too_long);
	return pod->verdict;
}
