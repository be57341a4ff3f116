/* One page of the sidecar of a pod, by a port that the API server forwards to the pod's loopback interface
 * (pods/portforward, decision 054). */
#pragma once

#include "cli/cluster/api.h"

/* path: "/why". The caller releases *out. ERR_DENIED: this account may not forward a port; ERR_UNAVAILABLE: the sidecar
 * does not answer. */
enum err pod_page_fetch(struct api *api, const char *namespace_, const char *pod, const char *path, json_t **out,
	struct why *why) _must_use_;
enum err pod_page_denied(const char *namespace_, const char *what, struct why *why); /* what this account may not */
