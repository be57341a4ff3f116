/* The pods of a cluster, one after another, and what is wrong with their sidecars: counted per namespace, so that the
 * rows are few however many pods there are. Pure. */
#pragma once

#include "cli/cluster/findings.h"

struct pods;
/* namespaces: an array; own_namespace: where the control plane is; release: what sidecars should be. All borrowed. */
struct pods *pods_new(const json_t *namespaces, const char *own_namespace, const char *release);
void pods_free(struct pods *pods);
enum pods_kind { PODS_WITH_SIDECAR, PODS_WITHOUT_SIDECAR, PODS_OUTSIDE }; /* OUTSIDE: not meant to have one, or over */
enum pods_kind pods_add(struct pods *pods, const json_t *pod);
/* For a sidecar that runs and is not ready, of each namespace one: asks it, and puts the reason into out. False: it has
 * no answer. */
typedef bool pods_ask_fn(void *arg, const char *namespace_, const char *pod, char *out, size_t cap);
void pods_ask(struct pods *pods, pods_ask_fn *ask, void *arg);
void pods_report(const struct pods *pods, struct findings *findings);      /* of an install */
void pods_report_left(const struct pods *pods, struct findings *findings); /* those that still have a sidecar */
