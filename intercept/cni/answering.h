/* The agent's side of the socket: questions of the plugin, each answered when the pod is known and its rules are in
 * place. */
#pragma once

#include "base/core/loop.h"
#include "intercept/cni/node_pods.h"
#include "intercept/cni/starter.h"

struct answering_options {
	struct loop *loop;
	const struct node_pods *pods; /* borrowed */
	struct starter *starter;      /* of handfast-init; borrowed */
	int listening_fd;             /* adopted */
	uint32_t wait_ms;             /* for a pod that is not known yet; 0: 8,000 */
};

struct answering;
struct answering *answering_new(const struct answering_options *options);
void answering_free(struct answering *answering);
/* Some pods have changed: questions that wait are judged again. */
void answering_pods_changed(struct answering *answering);
