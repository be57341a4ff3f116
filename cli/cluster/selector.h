/* LabelSelector of Kubernetes (meta/v1). Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* labels: an object of strings, or NULL. A selector that is absent or empty selects everything. An operator that is not
 * known selects: what may be selected is reported. */
bool selector_matches(const json_t *selector, const json_t *labels);
