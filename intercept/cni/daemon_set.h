/* The DaemonSet that the agent belongs to: whether it is gone, which makes the agent's end an uninstall.
 *
 * `kubectl delete -f` deletes the account and its permissions before the DaemonSet, and a token may also be refused for
 * other reasons. So a refusal (401, 403) proves nothing; the deletion does, seen by a watch that was open. */
#pragma once

#include "base/kube/kube_client.h"

struct daemon_set;
/* name: "NAMESPACE/NAME"; watches it from now on. */
struct daemon_set *daemon_set_new(struct kube_client *client, const char *name);
void daemon_set_free(struct daemon_set *set); /* before kube_client_free(); a question is not answered */
/* Asks the API server, for 5 s at most. is_gone is false where it cannot be known. One question at a time; never
 * within the call. */
typedef void daemon_set_done_fn(void *arg, bool is_gone);
void daemon_set_ask(struct daemon_set *set, daemon_set_done_fn *on_done, void *arg);
