/* A listening socket on a loop. When the process runs out of descriptors it pauses (a descriptor is kept in reserve so
 * that waiting clients are not left hanging for ever) and resumes by itself. */
#pragma once

#include "base/core/loop.h"
#include "base/net/socket.h"

struct listener;
/* The callee owns fd. */
typedef void listener_accept_fn(void *arg, int fd, const struct addr *peer);
typedef void listener_pause_fn(void *arg, bool paused); /* may be NULL */

struct listener *listener_new(struct loop *loop, int listening_fd, listener_accept_fn *on_accept,
	listener_pause_fn *on_pause, void *arg); /* adopts listening_fd */
void listener_free(struct listener *listener);   /* also from its callbacks */
void listener_pause(struct listener *listener);  /* the owner's own limit; counted with the listener's own pauses */
void listener_resume(struct listener *listener);
