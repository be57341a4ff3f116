/* Whom a change of what sidecars trust has reached, in the answer of the command that made it (decision 108). */
#pragma once

#include "proto/handfast/v1/operator.pb-c.h"
#include <jansson.h>

/* A sentence's end such as "; in force at 3 of 3 connected sidecars", in out; empty where the control plane is of a
 * release that does not report it (NULL). */
const char *reach_text(const Handfast__V1__Reach *reach, char *out, size_t cap);
/* Adds the members connected_sidecars and acknowledged. */
void reach_put_json(const Handfast__V1__Reach *reach, json_t *object);
