/* Pages of the sidecar of one pod, from outside of the cluster: by a port that the API server forwards to the pod's
 * loopback interface (pods/portforward), where the sidecar has them for its own machine (decision 054). */
#pragma once

#include "base/settings/command_line/command_line.h"
#include <jansson.h>

struct pod_pages;
/* The pod that the command's argument names, "pod/NAME" or "NAME", in --namespace, else that of the kubeconfig's
 * context. ERR_NOT_FOUND: no such pod, or it has no sidecar; ERR_UNAVAILABLE: its sidecar does not run; ERR_DENIED. */
enum err pod_pages_open(const struct command_line *line, struct pod_pages **out, struct why *why) _must_use_;
void pod_pages_close(struct pod_pages *pages);
DEFINE_CLEANUP(struct pod_pages *, pod_pages_close)
/* path: "/why". The caller releases *out. */
enum err pod_pages_get(struct pod_pages *pages, const char *path, json_t **out, struct why *why) _must_use_;
const char *pod_pages_name(const struct pod_pages *pages); /* "NAMESPACE/NAME" */
