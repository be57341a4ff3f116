#include "control/store/record_object.h"
#include "base/core/hex.h"
#include "base/json/json_put.h"
#include "certs/digest.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

void record_object_name(const char *key, char out[RECORD_NAME_LEN])
{
	uint8_t digest[DIGEST_LEN];
	digest_sha256(span_of_str(key), digest);
	out[0] = 'r';
	out[1] = '-';
	hex_format(span_of(digest, (RECORD_NAME_LEN - 3) / 2), out + 2);
}

bool record_object_version(const char *text, uint64_t *out)
{
	char *end = NULL;
	errno = 0;
	unsigned long long version = text == NULL || *text < '0' || *text > '9' ? 0 : strtoull(text, &end, 10);
	if (version == 0 || errno != 0 || *end != '\0')
		return false;
	*out = version;
	return true;
}

#define RECORD_FIX "remove that object if an operator made it; else restore the records from a backup"

enum err record_object_parse(const json_t *object, struct record_object *out, struct why *why)
{
	const json_t *metadata = json_object_get(object, "metadata"), *spec = json_object_get(object, "spec");
	const char *name = json_string_value(json_object_get(metadata, "name"));
	const char *writer = json_string_value(json_object_get(spec, "writer"));
	const json_t *value = json_object_get(spec, "value");
	struct record_object record = {
		.key = json_string_value(json_object_get(spec, "key")), .writer = writer == NULL ? "" : writer};
	char own_name[RECORD_NAME_LEN];
	if (name == NULL || record.key == NULL || !json_is_string(value) ||
		!record_object_version(
			json_string_value(json_object_get(metadata, "resourceVersion")), &record.version))
		return why_set(why, ERR_STATE_DAMAGED, "an object with a key, a value and a version", RECORD_FIX,
			"the record %s is not complete", name == NULL ? "without a name" : name);
	record_object_name(record.key, own_name);
	if (strcmp(name, own_name) != 0)
		return why_set(why, ERR_STATE_DAMAGED, "the name that belongs to its key", RECORD_FIX,
			"the record %s has the key of %s", name, own_name);
	record.value = span_of(json_string_value(value), json_string_length(value));
	*out = record;
	return ERR_NONE;
}

/* Steals `object`. */
static enum err append_json(json_t *object, struct buf *out)
{
	enum err err = buf_append_json(out, object, JSON_COMPACT);
	json_decref(object);
	return err;
}

enum err record_object_encode(const struct record_object_spec *spec, struct buf *out)
{
	char name[RECORD_NAME_LEN], version[24];
	if (memchr(spec->value.ptr, 0, spec->value.len) != NULL)
		return ERR_MALFORMED;
	record_object_name(spec->key, name);
	json_t *object = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s%}}", "apiVersion", RECORD_API_VERSION,
		"kind", "Record", "metadata", "name", name, "namespace", spec->namespace_name, "spec", "key", spec->key,
		"writer", spec->writer, "value", (const char *)spec->value.ptr, spec->value.len);
	if (object != NULL && spec->expected != 0) {
		snprintf(version, sizeof version, "%" PRIu64, spec->expected);
		json_object_set_new(json_object_get(object, "metadata"), "resourceVersion", json_string(version));
	}
	return append_json(object, out);
}

enum err record_object_encode_delete(uint64_t expected, struct buf *out)
{
	char version[24];
	snprintf(version, sizeof version, "%" PRIu64, expected);
	return append_json(json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "DeleteOptions",
				   "preconditions", "resourceVersion", version),
		out);
}
