/* What a pod's object reports of its sidecar. Pure. */
#pragma once

#include "base/core/err.h"
#include <jansson.h>

/* "NAME", "pod/NAME", "pods/NAME" or "po/NAME", as kubectl takes them. NULL: no name of a pod. */
const char *pod_sidecar_name(const char *argument);
/* ERR_NONE: it has one, and the container runs. ERR_NOT_FOUND: it has none; ERR_UNAVAILABLE: it does not run. */
enum err pod_sidecar_judge(const json_t *pod, struct why *why) _must_use_;
