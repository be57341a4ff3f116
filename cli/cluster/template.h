/* Where an object of Kubernetes has the pods that it makes. Pure. */
#pragma once

#include <jansson.h>

/* The object with `metadata` and `spec` of the pods: a Pod itself, or the template of a Deployment, StatefulSet,
 * DaemonSet, ReplicaSet, ReplicationController, Job or CronJob. Borrowed. NULL: it makes none. */
json_t *template_of(json_t *object);
