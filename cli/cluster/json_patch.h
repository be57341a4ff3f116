/* JSON Patch (RFC 6902) with the operations that injection makes: add, replace, remove, move. Pure. */
#pragma once

#include "base/core/err.h"
#include <jansson.h>

/* ERR_MALFORMED: an operation does not fit the document, which is then changed in part. */
enum err json_patch_apply(json_t *document, const json_t *patch) _must_use_;
