#include "base/kube/watch_event.h"
#include "base/core/check.h"
#include "base/json/json_read.h"
#include <string.h>

#define EXPECTED "an event of a watch: an object with type and object"
#define FIX      "check that this is the API server, and see its log"

void watch_event_done(struct watch_event *event)
{
	json_decref(event->root);
	*event = (struct watch_event){0};
}

static bool may_stand_in_query(const char *text)
{
	size_t len = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~");
	return len > 0 && len < KUBE_VERSION_MAX && text[len] == '\0';
}

enum err kube_version_of(const json_t *object, char out[KUBE_VERSION_MAX])
{
	const char *version =
		json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
	if (version == NULL || !may_stand_in_query(version))
		return ERR_MALFORMED;
	memcpy(out, version, strlen(version) + 1);
	return ERR_NONE;
}

static size_t num_digits(const char *text)
{
	size_t len = strspn(text, "0123456789");
	return text[len] == '\0' && (text[0] != '0' || len == 1) ? len : 0;
}

bool kube_version_is_before(const char *one, const char *other)
{
	size_t one_len = num_digits(one), other_len = num_digits(other);
	if (one_len == 0 || other_len == 0)
		return false;
	return one_len != other_len ? one_len < other_len : strcmp(one, other) < 0;
}

static bool type_of(const char *text, enum watch_event_type *out)
{
	static const char *const types[] = {[WATCH_ADDED] = "ADDED",
		[WATCH_MODIFIED] = "MODIFIED",
		[WATCH_DELETED] = "DELETED",
		[WATCH_BOOKMARK] = "BOOKMARK",
		[WATCH_ERROR] = "ERROR"};
	for (unsigned i = 0; text != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(text, types[i]) == 0) {
			*out = (enum watch_event_type)i;
			return true;
		}
	return false;
}

/* The object is a Status. */
static void read_status(struct watch_event *event)
{
	json_int_t code = json_integer_value(json_object_get(event->object, "code"));
	json_int_t after =
		json_integer_value(json_object_get(json_object_get(event->object, "details"), "retryAfterSeconds"));
	const char *message = json_string_value(json_object_get(event->object, "message"));
	event->code = code > 0 && code < 1000 ? (unsigned)code : 0;
	event->retry_after_s = after > 0 && after < 300 ? (uint32_t)after : 0;
	event->message = message != NULL ? message : "it gives no reason";
}

static bool ends_initial_events(const json_t *object)
{
	const json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");
	const char *value = json_string_value(json_object_get(annotations, "k8s.io/initial-events-end"));
	return value != NULL && strcmp(value, "true") == 0;
}

static enum err fill(struct watch_event *event, struct why *why)
{
	const char *type = json_string_value(json_object_get(event->root, "type"));
	event->object = json_object_get(event->root, "object");
	if (!json_is_object(event->object) || !type_of(type, &event->type))
		return why_set(why, ERR_MALFORMED, EXPECTED, FIX, "the API server sent an event of type %.32s",
			type != NULL ? type : "(none)");
	if (event->type == WATCH_ERROR) {
		read_status(event);
		return ERR_NONE;
	}
	event->ends_initial_events = event->type == WATCH_BOOKMARK && ends_initial_events(event->object);
	if (kube_version_of(event->object, event->version) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, "an object with a resourceVersion", FIX,
			"the API server sent an object without one");
	return ERR_NONE;
}

enum err watch_event_parse(struct span line, struct watch_event *out, struct why *why)
{
	json_error_t error;
	struct watch_event event = {.root = json_read(line, &error)};
	if (event.root == NULL)
		return why_set(why, ERR_MALFORMED, EXPECTED, FIX, "the API server sent a line that is not JSON: %.100s",
			error.text);
	enum err err = fill(&event, why);
	if (err != ERR_NONE) {
		watch_event_done(&event);
		return err;
	}
	*out = event;
	return ERR_NONE;
}
