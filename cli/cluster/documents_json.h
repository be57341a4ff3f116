/* Documents that are JSON, one after another, also with "---" between them. YAML's own reading of JSON lacks what JSON
 * has: the two halves of a character beyond U+FFFF. Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include <jansson.h>

#define DOCUMENTS_VALUES_MAX 200000 /* per document; a text of 16 MiB is larger in memory by far */
#define DOCUMENTS_DEPTH_MAX  100    /* what reads and writes documents calls itself per level */

/* As documents_read(). *out_is_json false: it is no such text, and may be YAML; nothing else is set. */
enum err documents_json_read(
	struct span text, const char *name, json_t **out, bool *out_is_json, struct why *why) _must_use_;
