/* What a check of a cluster has at hand, and the steps of it that stand in files of their own. Private to
 * cluster_check. */
#pragma once

#include "cli/cluster/api.h"
#include "cli/cluster/findings.h"

struct check {
	struct api api;
	struct findings findings;
	const char *own_namespace;
	json_t *namespaces;
	json_t *replicas; /* the control plane's pods; NULL: not read yet, see check_read_replicas() */
	bool has_cni;
	int64_t expires_within_s; /* 0: certificates are not judged */
	char release[64];         /* of the control plane, by the pod that was tried; "": not known */
};

enum err check_read_replicas(struct check *check, struct why *why) _must_use_;
/* --- steps_of_pods.c --- */
enum err step_pods(struct check *check, struct why *why) _must_use_; /* pods, Services, and ports for strict */
enum err step_pods_left(struct check *check, struct why *why) _must_use_;
/* --- steps_of_times.c --- */
enum err step_clocks_and_roots(struct check *check, struct why *why) _must_use_; /* of the control plane's replicas */
void step_clock(struct check *check); /* of the API server, by its last answer */
