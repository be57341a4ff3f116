/* The process of the agent that starts handfast-init in network namespaces. The agent forks it before it reads anything
 * from outside, and can then start no program and enter no namespace itself (decision 101). It has no listener and
 * reads no text; the program is fixed at its start, and its words are made here. */
#pragma once

#include "base/core/err.h"
#include "intercept/cni/node_pods.h"

/* Exit codes beside those of handfast-init. */
enum { STARTER_NO_LOOPBACK = 125, STARTER_NO_NAMESPACE = 126, STARTER_NO_PROGRAM = 127 };

struct starter;
/* Forks. Before the process has threads or a filter; descriptors that are open stay open here alone. program: the path
 * of handfast-init, borrowed during the call. */
enum err starter_new(const char *program, struct starter **out, struct why *why) _must_use_;
void starter_free(struct starter *starter); /* ends the process and what it runs */
DEFINE_CLEANUP(struct starter *, starter_free)

int starter_fd(const struct starter *starter); /* readable: the process has ended */

struct starter_question {
	bool checks; /* `handfast-init check`, which changes nothing; else `up` */
	struct node_pod_rules rules;
};
/* Runs handfast-init in `netns` with `out_fd` as its standard output; both stay the caller's. *out_status_fd: gets the
 * exit code, see starter_code(); closed before, it ends the program. */
enum err starter_run(struct starter *starter, const struct starter_question *question, int netns, int out_fd,
	int *out_status_fd, struct why *why) _must_use_;
/* Waits 5 s at most. False: it is not known. A signal is 128 + its number. */
bool starter_code(int status_fd, int *out);
