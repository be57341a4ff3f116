/* JSON values (jansson) as text in a buffer. */
#pragma once

#include "base/core/buf.h"
#include <jansson.h>

/* Appends; flags: jansson's, such as JSON_COMPACT. ERR_LIMIT: no room; ERR_MALFORMED: no value. A part may be appended
 * on failure. */
enum err buf_append_json(struct buf *out, const json_t *value, size_t flags) _must_use_;
