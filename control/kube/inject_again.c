/* A pod that has its sidecar and is created again: a manifest that was injected before, or a copy of a pod. Annotations
 * that it has got since are put into its containers, or have a warning: each is in one class of annotations.def. */
#include "base/core/mem.h"
#include "control/kube/inject_private.h"
#include <string.h>

enum again {
	AGAIN_READ,      /* by what changes the pod in each run */
	AGAIN_STAYS,     /* what the pod has stays, with a warning: it is part of several containers and volumes */
	AGAIN_SIDECAR,   /* a variable of the sidecar */
	AGAIN_INIT,      /* a variable of the init container; the agent of the CNI plugin reads the annotation itself */
	AGAIN_RESOURCES, /* of both containers */
};

static const struct wanted {
	enum again again;
	size_t offset;      /* of the member in struct inject_wants */
	const char *target; /* the variable, or the resource as "limits/cpu"; NULL: none */
} table[] = {
#define ANNOTATION(name, member, kind, again, target) {again, offsetof(struct inject_wants, member), target},
#include "control/kube/annotations.def"
#undef ANNOTATION
};
enum { NUM_WANTED = sizeof(table) / sizeof(table[0]) };

static const char *value_of(const struct injection *injection, const struct wanted *wanted)
{
	const char *value;
	memcpy(&value, (const char *)&injection->wants + wanted->offset, sizeof(value));
	return value;
}

/* Without the spaces that lists may have. */
static char *packed(const char *list)
{
	char *packed = mem_strdup(list), *end = packed;
	for (const char *at = list; *at != '\0'; at++)
		if (*at != ' ')
			*end++ = *at;
	*end = '\0';
	return packed;
}

static void put_wanted(const struct injection *injection, enum again class, json_t *env)
{
	for (size_t i = 0; i < NUM_WANTED; i++) {
		const char *value = value_of(injection, &table[i]);
		if (table[i].again != class || value == NULL)
			continue;
		_cleanup_(mem_freep) char *text = packed(value);
		inject_put_env(env, table[i].target, text);
	}
}

void inject_put_sidecar_wants(const struct injection *injection, json_t *env)
{
	put_wanted(injection, AGAIN_SIDECAR, env);
}

void inject_put_init_wants(const struct injection *injection, json_t *env)
{
	put_wanted(injection, AGAIN_INIT, env);
}

/* Gives variables of `wanted` to a container that lacks them or has others. */
static void refresh_env(struct injection *injection, size_t at, const json_t *container, const json_t *wanted)
{
	const json_t *env = json_object_get(container, "env"), *want, *item;
	size_t i, j;
	json_array_foreach(wanted, i, want)
	{
		bool is_there = false;
		json_array_foreach(env, j, item)
		{
			if (strcmp(inject_text(item, "name"), inject_text(want, "name")) != 0)
				continue;
			is_there = true;
			if (!json_equal(item, want))
				inject_put(injection, "replace", json_incref((json_t *)(uintptr_t)want),
					"/spec/initContainers/%zu/env/%zu", at, j);
		}
		if (!is_there)
			inject_put(injection, "add", json_incref((json_t *)(uintptr_t)want),
				"/spec/initContainers/%zu/env/-", at);
	}
}

static void set_resource(json_t *resources, const char *target, const char *value)
{
	const char *slash = strchr(target, '/');
	_cleanup_(mem_freep) char *list = mem_printf("%.*s", (int)(slash - target), target);
	if (!json_is_object(json_object_get(resources, list)))
		CHECK(json_object_set_new(resources, list, json_object()) == 0);
	CHECK(json_object_set_new(json_object_get(resources, list), slash + 1, json_string(value)) == 0);
}

static void refresh_resources(struct injection *injection, size_t at, const json_t *container)
{
	const json_t *present = json_object_get(container, "resources");
	json_t *resources = json_is_object(present) ? json_deep_copy(present) : json_object();
	for (size_t i = 0; i < NUM_WANTED; i++) {
		const char *value = value_of(injection, &table[i]);
		if (table[i].again == AGAIN_RESOURCES && value != NULL)
			set_resource(resources, table[i].target, value);
	}
	if (json_object_size(resources) > 0 && !json_equal(resources, present))
		inject_put(injection, "add", json_incref(resources), "/spec/initContainers/%zu/resources", at);
	json_decref(resources);
}

static void refresh(struct injection *injection, size_t at, enum again class)
{
	const json_t *container = json_array_get(json_object_get(injection->spec, "initContainers"), at);
	json_t *wanted = json_array();
	put_wanted(injection, class, wanted);
	refresh_env(injection, at, container, wanted);
	refresh_resources(injection, at, container);
	json_decref(wanted);
}

/* What `disabled` would take away stays: the user's containers have it, too. */
static void warn_of_switches(struct injection *injection, const json_t *env)
{
	const struct {
		const char *name, *value, *variable;
	} rows[] = {{"rewrite-probes", injection->wants.rewrite_probes, INJECT_PROBES},
		{"workload-api", injection->wants.workload_api, "HANDFAST_SIDECAR_WORKLOAD_API_SOCKET"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value != NULL && strcmp(rows[i].value, "disabled") == 0 &&
			inject_has_item(env, "name", rows[i].variable))
			inject_warn(injection,
				"annotation " INJECT_ANNOTATIONS "%s has no effect: the pod has its sidecar already, "
				"made with what it disables",
				rows[i].name);
}

void inject_refresh_wants(struct injection *injection, size_t sidecar)
{
	size_t init = 0;
	const json_t *container = json_array_get(json_object_get(injection->spec, "initContainers"), sidecar);
	refresh(injection, sidecar, AGAIN_SIDECAR);
	if (inject_find_init(injection, INJECT_INIT, &init))
		refresh(injection, init, AGAIN_INIT);
	warn_of_switches(injection, json_object_get(container, "env"));
}
