/* A listening socket on a loop. When the process is out of descriptors it pauses, retries every 100 ms and resumes by
 * itself. Clients wait in the backlog; after a second they are refused by means of a reserve descriptor, so that none
 * waits forever. Each episode of shortage is logged twice: at its begin, and with its counts after 5 seconds without a
 * pause. */
#pragma once

#include "base/core/loop.h"
#include "base/net/socket.h"

struct listener;
/* The callee owns fd. */
typedef void listener_accept_fn(void *arg, int fd, const struct addr *peer);
/* May be NULL. Called for the listener's own pauses, not for listener_pause(). */
typedef void listener_pause_fn(void *arg, bool paused);

struct listener *listener_new(struct loop *loop, int listening_fd, listener_accept_fn *on_accept,
	listener_pause_fn *on_pause, void *arg); /* adopts listening_fd */
void listener_free(struct listener *listener);   /* allowed in its callbacks */
void listener_pause(struct listener *listener);  /* for a limit of the owner; nests with the listener's own pauses */
void listener_resume(struct listener *listener);

/* Nothing is accepted until listener_start() makes the socket listen; right after listener_new() it need not listen
 * yet. Pauses nest with it. ERR_SYSTEM and the like: it cannot listen, and stays held. */
void listener_hold(struct listener *listener);
enum err listener_start(struct listener *listener, int backlog) _must_use_;
int listener_fd(const struct listener *listener); /* the listening socket; stays the listener's */

/* The listener's own pauses: whether it is paused now, how often it was, and how many clients it refused. */
bool listener_is_exhausted(const struct listener *listener);
uint64_t listener_num_pauses(const struct listener *listener);
uint64_t listener_num_refused(const struct listener *listener);
