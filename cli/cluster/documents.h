/* Text of several documents, YAML or JSON, to JSON and back. Plain scalars are read as Kubernetes' own tools read them
 * (YAML 1.1: yes is true, 0644 is 420); comments are lost. */
#pragma once

#include "base/core/buf.h"
#include <jansson.h>

#define DOCUMENTS_MAX (16u * 1024 * 1024) /* bytes of the text */

/* An array of the documents, without those that are empty; the caller releases it. name: of the text, for errors.
 * Bounded also where aliases repeat much. ERR_MALFORMED: neither YAML nor JSON, or a document is no object;
 * ERR_UNSUPPORTED: a tag or key that JSON does not have. */
enum err documents_read(struct span text, const char *name, json_t **out, struct why *why) _must_use_;
enum err document_write(const json_t *document, struct buf *out) _must_use_; /* YAML, with "---" before it */
