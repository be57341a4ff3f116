/* A listening socket on a loop. When the process runs out of descriptors it pauses, tries again every 100 ms and
 * resumes by itself. Clients wait in the backlog meanwhile; after a second they are refused with a descriptor that is
 * kept in reserve, so that none is left hanging for ever. Each episode of shortage is logged twice: when it begins, and
 * with its counts when no pause was needed for 5 seconds. */
#pragma once

#include "base/core/loop.h"
#include "base/net/socket.h"

struct listener;
/* The callee owns fd. */
typedef void listener_accept_fn(void *arg, int fd, const struct addr *peer);
/* May be NULL. Tells of the listener's own pauses, not of those that the owner asked for. */
typedef void listener_pause_fn(void *arg, bool paused);

struct listener *listener_new(struct loop *loop, int listening_fd, listener_accept_fn *on_accept,
	listener_pause_fn *on_pause, void *arg); /* adopts listening_fd */
void listener_free(struct listener *listener);   /* also from its callbacks */
void listener_pause(struct listener *listener);  /* the owner's own limit; counted with the listener's own pauses */
void listener_resume(struct listener *listener);

/* Of the listener's own: whether it is paused now, how often it has paused, and how many clients it refused then. */
bool listener_is_exhausted(const struct listener *listener);
uint64_t listener_num_pauses(const struct listener *listener);
uint64_t listener_num_refused(const struct listener *listener);
