/* The operator's service of a cluster's control plane, by a port that the API server forwards (decision 057): a
 * descriptor for a client on the same loop. */
#pragma once

#include "base/core/loop.h"
#include "base/settings/command_line/command_line.h"

struct control_forward;
/* The replicas that are ready, in --control-namespace of the cluster. ERR_NOT_FOUND: no control plane is there;
 * ERR_UNAVAILABLE: none is ready; ERR_DENIED: this account may not list pods there. */
enum err control_forward_new(const struct command_line *line, struct control_forward **out, struct why *why) _must_use_;
void control_forward_free(struct control_forward *forward);
DEFINE_CLEANUP(struct control_forward *, control_forward_free)

struct loop *control_forward_loop(const struct control_forward *forward);
/* Begins a stream to the next replica, in place of that to the one before. The caller owns *out_fd, non-blocking.
 * ERR_NOT_FOUND: there is no further replica. */
enum err control_forward_next(struct control_forward *forward, int *out_fd) _must_use_;
const char *control_forward_pod(const struct control_forward *forward); /* of the present stream */
/* Why that stream has ended; ERR_NONE: it has not. ERR_DENIED: this account may not forward ports: a further replica is
 * of no use. */
enum err control_forward_ended(const struct control_forward *forward, struct why *why) _must_use_;
