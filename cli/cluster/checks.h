/* What is judged from single objects of a cluster: each adds a row or more to the findings. Objects are those of the
 * API server; one that is NULL is not there. Pure. */
#pragma once

#include "cli/cluster/findings.h"

#define CHECKS_LABEL             "handfast.dev/inject" /* of namespaces; "enabled" */
#define CHECKS_POD_SECURITY      "pod-security.kubernetes.io/enforce"
#define CHECKS_RESTARTED         "deployment,statefulset,daemonset"
#define CHECKS_RESTART           "`kubectl -n %.64s rollout restart " CHECKS_RESTARTED "`" /* a fix; the namespace */
#define CHECKS_CONTROL_NAMESPACE "handfast-system"

void checks_collect(void *arg, const json_t *item); /* appends a copy to the array `arg` */

const char *checks_text(const json_t *object, const char *key); /* "" where there is no text */
const char *checks_name(const json_t *object);                  /* metadata.name */
const char *checks_label(const json_t *object, const char *key);
const char *checks_interception(const json_t *namespace_);        /* its annotation; "": none */
bool checks_is_labeled(const json_t *namespace_);                 /* new pods of it get a sidecar: not one that ends */
bool checks_is_ready(const json_t *pod);                          /* its condition Ready */
const json_t *checks_named(const json_t *list, const char *name); /* the item of that name; NULL: none */
/* The member of that name; `fresh`, which it takes, where there is none yet. */
json_t *checks_member(json_t *object, const char *key, json_t *fresh);
/* Why a container does not run, by its status: "NAME waits: ImagePullBackOff ...". False: it neither waits nor has
 * ended. */
bool checks_state(const json_t *status, const char *name, char *out, size_t cap);

/* --- before an install --- */
void check_server_version(struct findings *findings, const json_t *version); /* of /version */
/* A SelfSubjectAccessReview (authorization.k8s.io/v1); the caller releases it. Whether the answer allows it. */
json_t *checks_access_review(const char *group, const char *resource, const char *verb);
bool checks_is_allowed(const json_t *review);
/* namespaces, configurations: arrays; of MutatingWebhookConfiguration. */
void check_other_meshes(struct findings *findings, const json_t *namespaces, const json_t *configurations);

/* --- an install --- */
void check_control(struct findings *findings, const json_t *deployment, const json_t *pods, const char *own_namespace);
void check_registration(struct findings *findings, const json_t *configuration);
void check_service(struct findings *findings, const char *name, const json_t *slices); /* EndpointSlices of it */
void check_definition(struct findings *findings, const char *name, const char *version, const json_t *definition);
bool check_cni(struct findings *findings, const json_t *agents); /* DaemonSets; whether there is one */
void check_pod_security(struct findings *findings, const json_t *namespaces, bool has_cni);
bool checks_refuses_injection(const json_t *namespace_); /* its pods may have no init container with NET_ADMIN */
json_t *checks_trial_pod(void);                          /* a pod to try the webhook with; the caller releases it */
void check_release(struct findings *findings, const char *release); /* of the control plane; "": not known */
/* The answer to a pod that was created as a dry run in a namespace with the label. */
void check_tried_injection(struct findings *findings, const char *namespace_, const json_t *pod);

/* --- after an uninstall --- */
void check_left_registration(struct findings *findings, const json_t *configuration, const json_t *own_namespace);
