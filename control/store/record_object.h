/* A record of the store as a custom resource of Kubernetes: `records.handfast.dev`, one object per key. An object's
 * name is derived from its key, its version is metadata.resourceVersion. Pure: JSON in, JSON out. */
#pragma once

#include "base/core/buf.h"
#include <jansson.h>

#define RECORD_API_VERSION "handfast.dev/v1alpha1"

/* "r-" and the first 40 hexadecimal digits of SHA-256(key): a valid name (RFC 1123), the same for the same key. */
#define RECORD_NAME_LEN 43 /* with the NUL */
void record_object_name(const char *key, char out[RECORD_NAME_LEN]);

/* A resourceVersion as a number; false: it is none, or 0 (they can be compared: Kubernetes KEP-5504). */
bool record_object_version(const char *text, uint64_t *out) _must_use_;

struct record_object { /* borrowed from the JSON */
	const char *key;
	struct span value;  /* UTF-8 text without NUL */
	const char *writer; /* of the change that made this version; "": unknown */
	uint64_t version;   /* never 0 */
};

/* ERR_STATE_DAMAGED: not a record, or its name does not belong to its key (it was written by hand). */
enum err record_object_parse(const json_t *object, struct record_object *out, struct why *why) _must_use_;

struct record_object_spec {
	const char *namespace_name, *key, *writer;
	struct span value;
	uint64_t expected; /* the version to replace; 0: none */
};
/* ERR_MALFORMED: the value is not UTF-8 text, or has a NUL. ERR_LIMIT: no room. */
enum err record_object_encode(const struct record_object_spec *spec, struct buf *out) _must_use_;
/* The body of a DELETE of exactly this version. */
enum err record_object_encode_delete(uint64_t expected, struct buf *out) _must_use_;
