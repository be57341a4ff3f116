/* Reading a pod, and writing what comes of it. */
#include "control/kube/inject_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *inject_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

bool inject_next_container(const struct injection *injection, struct inject_container *at)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	at->index = at->container == NULL ? 0 : at->index + 1;
	for (; at->step < sizeof(lists) / sizeof(lists[0]); at->step++, at->index = 0) {
		at->list = lists[at->step];
		at->container = json_array_get(json_object_get(injection->spec, at->list), at->index);
		at->name = inject_text(at->container, "name");
		if (at->container != NULL)
			return true;
	}
	return false;
}

bool inject_is_native_sidecar(const struct inject_container *container)
{
	return strcmp(container->list, "initContainers") == 0 &&
	       strcmp(inject_text(container->container, "restartPolicy"), "Always") == 0;
}

bool inject_is_own(const struct inject_container *container)
{
	return strcmp(container->list, "initContainers") == 0 &&
	       (strcmp(container->name, INJECT_SIDECAR) == 0 || strcmp(container->name, INJECT_INIT) == 0);
}

bool inject_find_init(const struct injection *injection, const char *name, size_t *out_index)
{
	const json_t *list = json_object_get(injection->spec, "initContainers"), *container;
	size_t i;
	json_array_foreach(list, i, container)
	{
		if (strcmp(inject_text(container, "name"), name) != 0)
			continue;
		*out_index = i;
		return true;
	}
	return false;
}

bool inject_has_mark(const struct injection *injection)
{
	const json_t *annotations = json_object_get(injection->metadata, "annotations");
	return strcmp(inject_text(annotations, "handfast.dev/injected"), "true") == 0;
}

bool inject_has_item(const json_t *list, const char *key, const char *value)
{
	const json_t *item;
	size_t i;
	json_array_foreach(list, i, item)
	{
		if (strcmp(inject_text(item, key), value) == 0)
			return true;
	}
	return false;
}

bool inject_is_injected(const struct injection *injection)
{
	size_t i;
	if (!inject_find_init(injection, INJECT_SIDECAR, &i))
		return false;
	if (inject_has_mark(injection))
		return true;
	const json_t *sidecar = json_array_get(json_object_get(injection->spec, "initContainers"), i);
	return inject_has_item(json_object_get(sidecar, "volumeMounts"), "name", INJECT_TOKEN_VOLUME);
}

bool inject_has_pod_resources(const struct injection *injection)
{
	return json_object_size(json_object_get(injection->spec, "resources")) > 0;
}

void inject_warn(struct injection *injection, const char *format, ...)
{
	char text[INJECT_WARNING_CHARS] = "handfast: ";
	size_t len = strlen(text);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text + len, sizeof(text) - len, format, arguments);
	va_end(arguments);
	/* A name that was cut within a character is no text of JSON: json_string() refuses it. */
	json_t *warning = json_string(text);
	if (warning != NULL && json_array_size(injection->out->warnings) < INJECT_WARNINGS_MAX)
		CHECK(json_array_append(injection->out->warnings, warning) == 0);
	json_decref(warning);
}

enum err inject_refuse(struct injection *injection, const char *expected, const char *fix, const char *got, ...)
{
	char text[sizeof(injection->out->detail.got)];
	va_list arguments;
	va_start(arguments, got);
	vsnprintf(text, sizeof(text), got, arguments);
	va_end(arguments);
	injection->out->verdict = INJECT_REFUSE;
	return why_set(&injection->out->detail, ERR_CONFIG, expected, fix, "%s", text);
}

void inject_put(struct injection *injection, const char *op, json_t *value, const char *path, ...)
{
	char text[256];
	va_list arguments;
	va_start(arguments, path);
	int len = vsnprintf(text, sizeof(text), path, arguments);
	va_end(arguments);
	CHECK(len > 0 && (size_t)len < sizeof(text)); /* names in paths are our own */
	json_t *operation = json_pack("{s:s, s:s, s:o}", "op", op, "path", text, "value", value);
	CHECK(operation != NULL && json_array_append_new(injection->out->patch, operation) == 0);
}
