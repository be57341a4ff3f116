/* handfast-init in the network namespace of a pod, by the starter: `up` or `check`. The program is the one that
 * init containers run, so that the rules are the same; the plugin itself has to run on any node and is static, which
 * libnftables does not allow (docs/design.md, "Facts about the dependencies"). */
#pragma once

#include "base/core/loop.h"
#include "intercept/cni/node_pods.h"
#include "intercept/cni/starter.h"

struct rules_run_options {
	struct loop *loop;
	struct starter *starter;            /* borrowed during the call */
	const struct node_pod_rules *rules; /* borrowed during the call */
	bool checks;                        /* `check`, which changes nothing; else `up` */
	int netns;                          /* of the pod; borrowed during the call */
};

/* ERR_NONE: the rules are in place. The run is over and freed. Never within rules_run_start(). */
typedef void rules_run_done_fn(void *arg, enum err err, const struct why *why);

struct rules_run;
enum err rules_run_start(const struct rules_run_options *options, rules_run_done_fn *on_done, void *arg,
	struct rules_run **out, struct why *why) _must_use_;
void rules_run_cancel(struct rules_run *run); /* ends the program; on_done is not called */

/* Pure: what failed according to the report of handfast-init (its JSON). */
void rules_run_explain(struct span report, int exit_code, struct why *why);
