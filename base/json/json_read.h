/* JSON that others have written, as jansson's values. */
#pragma once

#include "base/core/span.h"
#include <jansson.h>

/* As json_loadb(), but U+0000 is read as U+FFFD: Kubernetes takes it in texts, such as those of annotations, where a
 * text of C would end, and jansson would refuse all. The caller releases the result; NULL: no JSON, and *out_error,
 * where not NULL, has the reason. */
json_t *json_read(struct span text, json_error_t *out_error);
