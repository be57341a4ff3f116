/* Policy from a cluster's objects (policies.handfast.dev): a watch keeps them up to date, the distributor merges them
 * after the settings' policy, and each object's status shows what became of it.
 *
 * Until the first state has come in no sidecar gets a new policy: without a deny that is still to come it would allow
 * too much. Where the definition is not installed there are none. Later the last known state goes on, whatever happens
 * to the API server. */
#pragma once

#include "base/kube/kube_client.h"
#include "control/distribute/distribute.h"
#include "control/kube/feed.h"

struct kube_policies_options { /* all borrowed until kube_policies_free() */
	struct loop *loop;
	struct kube_client *client;
	struct distributor *distributor;
	const struct trust_domain *trust_domain;
	const char *replica; /* the name of this replica's pod */
	/* Whether a pod of the control plane has this name; true while that is not known. */
	bool (*is_replica)(void *arg, const char *name);
	void *arg;
};

struct kube_policies;
struct kube_policies *kube_policies_start(const struct kube_policies_options *options);
void kube_policies_stop(struct kube_policies *policies); /* before the distributor and the client */
/* Whether the first state has come in, or there is no definition. */
bool kube_policies_are_known(const struct kube_policies *policies);
/* "kube_watch": they may be old; "kube_policies": some are not accepted or left out; "kube_policy_status": a status
 * cannot be written. */
void kube_policies_each_condition(const struct kube_policies *policies, kube_condition_fn *each, void *arg);
