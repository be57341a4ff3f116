#include "cli/cluster/template.h"
#include <string.h>

/* The members that lead from the object to the template. */
static const struct kind {
	const char *version, *name;
	const char *members[5];
} kinds[] = {
	{"v1", "Pod", {NULL}},
	{"v1", "ReplicationController", {"spec", "template", NULL}},
	{"apps/v1", "Deployment", {"spec", "template", NULL}},
	{"apps/v1", "StatefulSet", {"spec", "template", NULL}},
	{"apps/v1", "DaemonSet", {"spec", "template", NULL}},
	{"apps/v1", "ReplicaSet", {"spec", "template", NULL}},
	{"batch/v1", "Job", {"spec", "template", NULL}},
	{"batch/v1", "CronJob", {"spec", "jobTemplate", "spec", "template", NULL}},
};

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "";
}

json_t *template_of(json_t *object)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		json_t *at = object;
		if (strcmp(text(object, "apiVersion"), kinds[i].version) != 0 ||
			strcmp(text(object, "kind"), kinds[i].name) != 0)
			continue;
		for (const char *const *member = kinds[i].members; *member != NULL; member++)
			at = json_object_get(at, *member);
		return json_is_object(json_object_get(at, "spec")) ? at : NULL;
	}
	return NULL;
}
