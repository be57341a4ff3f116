/* Services of namespaces with the label whose endpoints are all without a sidecar: what calls them is not encrypted.
 * Counted per namespace. Pure. */
#pragma once

#include "cli/cluster/findings.h"
#include "cli/cluster/pods.h"

struct services;
struct services *services_new(const json_t *namespaces); /* borrowed */
void services_free(struct services *services);
void services_add_pod(struct services *services, const json_t *pod, enum pods_kind kind); /* all of them first */
void services_add_slice(struct services *services, const json_t *slice); /* an EndpointSlice (discovery.k8s.io/v1) */
void services_report(const struct services *services, struct findings *findings);
