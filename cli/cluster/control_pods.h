/* Which pods of the control plane can be asked. Pure. */
#pragma once

#include "base/core/err.h"
#include <jansson.h>
#include <stdint.h>

char *control_pods_path(const char *namespace_); /* of the list of them; the caller frees it */
/* pods: an array of those with the control plane's label. The pods that are ready and are not being deleted, as an
 * array of their objects, which the caller releases. ERR_NOT_FOUND: there is no pod; ERR_UNAVAILABLE: none is ready. */
enum err control_pods_ready(const json_t *pods, const char *namespace_, json_t **out, struct why *why) _must_use_;
/* Of the operator's service on the pod's loopback interface: its port "operator", else the default. */
uint16_t control_pods_port(const json_t *pod);
