/* Plain scalars of YAML 1.1 as Kubernetes' tools resolve them. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

json_t *scalar_resolve(const char *text, size_t len); /* NULL: not UTF-8 */
bool scalar_needs_quotes(const char *text);           /* as a plain scalar it may be read as something else */
