/* A review without what injection does not read: most of a pod is variables, arguments and the history of its fields,
 * and a tree of them costs more than all the rest of a review. Pure.
 *
 * This is a tokenizer, no parser: JSON that is malformed stays so, but in a part that is left out. */
#pragma once

#include "base/core/buf.h"

#define ADMISSION_VALUES_MAX 50000u /* JSON values that are kept: bounds the memory that parsing takes */

/* Appends `review` with null in place of such members, at any depth; a member whose name is written with an escape
 * stays, as the API server writes none. A pod that is injected already stays whole, and one whose containers get the
 * Workload API: what they have is read. ERR_LIMIT: more than ADMISSION_VALUES_MAX values, or than *out may have. */
enum err admission_strip(struct span review, struct buf *out) _must_use_;
