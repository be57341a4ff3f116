/* The view follows the cluster: one watch each of pods, Services, EndpointSlices and namespaces, on one connection. */
#pragma once

#include "base/core/loop.h"
#include "base/kube/kube_client.h"
#include "control/kube/view.h"

struct kube_feed;

struct kube_feed *kube_feed_start(struct loop *loop, struct kube_client *client, struct kube_view *view); /* borrowed */
void kube_feed_stop(struct kube_feed *feed);
DEFINE_CLEANUP(struct kube_feed *, kube_feed_stop)

/* Whether the first whole state has come in; until then every address is unknown. */
bool kube_feed_has_synced(const struct kube_feed *feed);

/* What an operator is to know; `name` is a label: "kube_watch", "kube_objects", "kube_pods_without_sidecar". */
typedef void kube_condition_fn(void *arg, const char *name, const struct why *why);
void kube_feed_each_condition(const struct kube_feed *feed, kube_condition_fn *each, void *arg);
