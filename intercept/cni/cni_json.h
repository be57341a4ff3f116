/* JSON to bytes. */
#pragma once

#include "base/core/buf.h"
#include <jansson.h>

/* The versions of the specification that the plugin speaks, oldest first. */
#define CNI_VERSIONS "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"

/* One line; releases `object`. ERR_MALFORMED: it is NULL, as json_pack() returns for a text that is not UTF-8.
 * ERR_LIMIT: it does not fit. */
enum err cni_json_put_line(json_t *object, struct buf *out) _must_use_;

/* Indented, for readers. ERR_LIMIT: it does not fit. */
enum err cni_json_put_indented(const json_t *object, struct buf *out) _must_use_;
