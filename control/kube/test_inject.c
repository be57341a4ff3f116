#include "control/kube/test_inject.h"

#include "base/core/mem.h"
#include <stdio.h>
#include <string.h>

const struct inject_options test_inject_options = {
	.sidecar_image = "local/sidecar:1",
	.init_image = "local/init:1",
	.version = "0.2.0",
	.trust_domain = "cluster.local",
	.own_namespace = "handfast-system",
	.control_address = "192.0.2.10:15012",
	.bootstrap_root_sha256 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	.audience = "handfast",
};

static const struct inject_namespace shop = {.name = "shop"};

json_t *test_json(const char *text)
{
	char *copy = mem_strdup(text);
	json_error_t error;
	for (char *at = copy; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	json_t *json = json_loads(copy, 0, &error);
	if (json == NULL)
		fail_msg("%s at %d of %s", error.text, error.position, copy);
	mem_free(copy);
	return json;
}

struct injected *test_inject_json(json_t *pod, const struct inject_namespace *ns, const struct inject_options *options)
{
	struct injected *injected = mem_new(struct injected);
	injected->before = pod;
	inject_pod(pod, ns != NULL ? ns : &shop, options != NULL ? options : &test_inject_options, &injected->result);
	injected->after = json_deep_copy(pod);
	test_patch_apply(injected->after, injected->result.patch);
	assert_int_equal(injected->result.verdict == INJECT_CHANGE, json_array_size(injected->result.patch) > 0);
	return injected;
}

struct injected *test_inject(const char *pod, const struct inject_namespace *ns, const struct inject_options *options)
{
	return test_inject_json(test_json(pod), ns, options);
}

struct injected *test_inject_again(const struct injected *first)
{
	return test_inject_json(json_deep_copy(first->after), NULL, NULL);
}

void test_inject_free(struct injected *injected)
{
	inject_result_done(&injected->result);
	json_decref(injected->before);
	json_decref(injected->after);
	mem_free(injected);
}

const char *test_pod(const char *more, const char *spec)
{
	static char text[8192];
	snprintf(text, sizeof(text),
		"{'metadata': {'generateName': 'cart-'}, 'spec': {'containers': [{'name': 'app', 'image': "
		"'a'%s%s}]%s%s}}",
		more[0] != '\0' ? ", " : "", more, spec[0] != '\0' ? ", " : "", spec);
	return text;
}

const char *test_annotated(const char *annotations)
{
	static char text[4096];
	snprintf(text, sizeof(text),
		"{'metadata': {'annotations': {%s}}, 'spec': {'containers': [{'name': 'app', 'image': 'a'}]}}",
		annotations);
	return text;
}

json_t *test_at(const struct injected *injected, const char *pointer)
{
	json_t *found = test_pointer(injected->after, pointer);
	if (found == NULL)
		fail_msg("nothing at %s", pointer);
	return found;
}

const char *test_text_at(const struct injected *injected, const char *pointer)
{
	const char *text = json_string_value(test_at(injected, pointer));
	return text != NULL ? text : "(no text)";
}

static json_t *named(const json_t *list, const char *name)
{
	json_t *item;
	size_t i;
	json_array_foreach(list, i, item)
	{
		if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
			return item;
	}
	return NULL;
}

json_t *test_named(const struct injected *injected, const char *pointer, const char *name)
{
	return named(test_pointer(injected->after, pointer), name);
}

const char *test_env(const struct injected *injected, const char *container, const char *name)
{
	static const char *const lists[] = {"/spec/initContainers", "/spec/containers"};
	for (size_t at = 0; at < sizeof(lists) / sizeof(lists[0]); at++) {
		const json_t *found = named(test_at(injected, lists[at]), container);
		if (found != NULL)
			return json_string_value(json_object_get(named(json_object_get(found, "env"), name), "value"));
	}
	fail_msg("no container %s", container);
	return NULL;
}

bool test_has_warning(const struct injected *injected, const char *part)
{
	const json_t *warning;
	size_t i;
	json_array_foreach(injected->result.warnings, i, warning)
	{
		if (strstr(json_string_value(warning), part) != NULL)
			return true;
	}
	return false;
}

/* --- RFC 6902 --- */

/* The token behind the last '/', and where it applies; RFC 6901: ~1 is '/', ~0 is '~'. */
struct place {
	json_t *parent;
	char token[256];
};

static void unescape(const char *from, size_t len, char out[256])
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		assert_true(n < 255);
		if (from[i] == '~')
			out[n++] = from[++i] == '1' ? '/' : '~';
		else
			out[n++] = from[i];
	}
	out[n] = '\0';
}

/* Digits; SIZE_MAX: anything else, which is no index. */
static size_t index_of(const char *token)
{
	size_t index = 0;
	for (const char *at = token; *at != '\0'; at++) {
		if (*at < '0' || *at > '9')
			return SIZE_MAX;
		index = index * 10 + (size_t)(*at - '0');
	}
	return token[0] != '\0' ? index : SIZE_MAX;
}

static json_t *child(json_t *parent, const char *token)
{
	if (json_is_object(parent))
		return json_object_get(parent, token);
	return json_array_get(parent, index_of(token));
}

static struct place place_of(json_t *document, const char *pointer)
{
	struct place place = {.parent = document};
	assert_int_equal(pointer[0], '/');
	for (;;) {
		size_t len = strcspn(++pointer, "/");
		unescape(pointer, len, place.token);
		pointer += len;
		if (*pointer == '\0')
			return place;
		place.parent = child(place.parent, place.token);
	}
}

json_t *test_pointer(json_t *document, const char *pointer)
{
	struct place place = place_of(document, pointer);
	return child(place.parent, place.token);
}

static void add(struct place place, json_t *value)
{
	assert_non_null(place.parent);
	if (json_is_object(place.parent)) {
		assert_int_equal(json_object_set(place.parent, place.token, value), 0);
		return;
	}
	assert_true(json_is_array(place.parent));
	size_t size = json_array_size(place.parent);
	size_t index = strcmp(place.token, "-") == 0 ? size : index_of(place.token);
	assert_true(index <= size);
	assert_int_equal(json_array_insert(place.parent, index, value), 0);
}

static void cut(struct place place)
{
	if (json_is_object(place.parent))
		assert_int_equal(json_object_del(place.parent, place.token), 0);
	else
		assert_int_equal(json_array_remove(place.parent, index_of(place.token)), 0);
}

static void apply(json_t *document, const char *op, const json_t *operation)
{
	struct place to = place_of(document, json_string_value(json_object_get(operation, "path")));
	json_t *value = json_deep_copy(json_object_get(operation, "value"));
	if (strcmp(op, "move") == 0) {
		struct place from = place_of(document, json_string_value(json_object_get(operation, "from")));
		value = json_incref(child(from.parent, from.token));
		cut(from);
	} else {
		assert_non_null(value);
	}
	if (strcmp(op, "replace") == 0) {
		assert_non_null(child(to.parent, to.token));
		cut(to);
	}
	if (strcmp(op, "test") == 0)
		assert_true(json_equal(child(to.parent, to.token), value));
	else
		add(to, value);
	json_decref(value);
}

void test_patch_apply(json_t *document, const json_t *patch)
{
	for (size_t i = 0; i < json_array_size(patch); i++) {
		const json_t *operation = json_array_get(patch, i);
		apply(document, json_string_value(json_object_get(operation, "op")), operation);
	}
}

void test_volume_is_refused(const char *annotations, const char *volume)
{
	char pod[512];
	snprintf(pod, sizeof(pod),
		"{'metadata': {'annotations': {%s}}, 'spec': {'containers': [{'name': 'app', 'image': 'a'}], "
		"'volumes': [{'name': '%s', 'emptyDir': {}}]}}",
		annotations, volume);
	struct injected *injected = test_inject(pod, NULL, NULL);
	assert_int_equal(injected->result.verdict, INJECT_REFUSE);
	assert_non_null(strstr(injected->result.detail.got, "has the name "));
	assert_non_null(strstr(injected->result.detail.got, volume));
	test_inject_free(injected);
}

void test_source_stays(const char *annotation, const char *value)
{
	struct injected *injected = test_inject(test_annotated(""), NULL, NULL);
	json_t *annotations = json_object_get(json_object_get(injected->after, "metadata"), "annotations");
	assert_int_equal(json_object_set_new(annotations, annotation, json_string(value)), 0);
	struct injected *again = test_inject_again(injected);
	assert_true(test_has_warning(again, "made without it"));
	assert_null(test_env(again, "handfast", "HANDFAST_SIDECAR_IDENTITY_SOURCE"));
	test_inject_free(again);
	test_inject_free(injected);
}
