/* The pods of one node, as the agent needs them: which have a sidecar, and what their rules leave out. Pure. */
#pragma once

#include "base/core/err.h"
#include "intercept/cni/cni_request.h"

#define NODE_PODS_MAX      4096 /* kubelet's own limit is 110 by default; a cluster must not fill our memory */
#define NODE_POD_VALUE_MAX 1024 /* bytes of an annotation; longer than 64 networks */

/* Annotations of the pod's author, without spaces; "" where there is none. The mode is the sidecar's own setting, which
 * no one can change once the pod is there: rules and sidecar fit each other. */
struct node_pod_rules {
	char exclude_inbound_ports[NODE_POD_VALUE_MAX], exclude_outbound_ports[NODE_POD_VALUE_MAX],
		exclude_outbound_networks[NODE_POD_VALUE_MAX];
	bool keeps_source; /* mode tproxy */
};

enum node_pods_verdict {
	NODE_POD_UNKNOWN, /* not seen yet, or another pod of that name */
	NODE_POD_PASSES, /* without a sidecar, of the host's network, or with an init container that writes the rules */
	NODE_POD_NEEDS_RULES,
	NODE_POD_REFUSED, /* needs rules that cannot be written: *why */
};

struct node_pods;
struct node_pods *node_pods_new(void);
void node_pods_free(struct node_pods *pods);
DEFINE_CLEANUP(struct node_pods *, node_pods_free)

/* The calls of struct kube_watch_observer. What has no name, and what is beyond NODE_PODS_MAX, is left out:
 * ERR_MALFORMED, ERR_LIMIT. */
void node_pods_begin(struct node_pods *pods);
enum err node_pods_put(struct node_pods *pods, const json_t *object) _must_use_;
void node_pods_deleted(struct node_pods *pods, const json_t *object);
void node_pods_synced(struct node_pods *pods);
bool node_pods_is_over(const struct node_pods *pods); /* ERR_LIMIT since the last begin: some are not known */

/* *out: for NODE_POD_NEEDS_RULES. A pod without uid (an old runtime does not give it) is taken by its name. */
enum node_pods_verdict node_pods_judge(
	const struct node_pods *pods, const struct cni_pod *asked, struct node_pod_rules *out, struct why *why);
