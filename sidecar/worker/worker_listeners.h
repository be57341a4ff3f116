/* The listeners of one worker: three ports, each in up to two families, and those that the operator set. */
#pragma once

#include "base/net/listener.h"
#include "sidecar/route/listeners.h"

struct worker_listeners_options {
	struct loop *loop;
	uint16_t outbound, inbound_plain, tunnel; /* 0: none */
	bool ipv6;
	listener_accept_fn *on_outbound, *on_inbound_plain, *on_tunnel;
	const struct listeners *listeners; /* NULL: none */
	void (*on_outbound_to)(void *arg, int fd, const struct addr *peer, const struct outbound_listener *listener);
	listener_accept_fn *on_mtls;   /* of inbound listeners with mtls */
	struct passed_sockets *passed; /* listening sockets that are taken where they fit; NULL: none */
	bool is_held;                  /* nothing is accepted until worker_listeners_start() */
	listener_pause_fn *on_pause; /* called per listener: for its own pauses and those of worker_listeners_pause() */
	void *arg;
};

enum worker_interface { WORKER_OUTBOUND, WORKER_INBOUND_PLAIN, WORKER_TUNNEL };
enum { WORKER_OTHER_LISTENERS_MAX = 256, WORKER_BACKLOG = 4096 };
enum { NUM_WORKER_INTERFACES = 3, NUM_WORKER_LISTENERS = 2 * NUM_WORKER_INTERFACES };

struct worker_outbound_listener {
	const struct worker_listeners_options *options;
	const struct outbound_listener *given;
	struct listener *listener;
};

struct worker_listeners { /* the worker's storage; zeroed is valid to worker_listeners_done() */
	struct worker_listeners_options options;
	struct listener *all[NUM_WORKER_LISTENERS];
	struct worker_outbound_listener outbound[LISTENERS_MAX];
	struct listener *mtls[2 * LISTENERS_MAX];            /* a place for each inbound listener in each family */
	struct listener *others[WORKER_OTHER_LISTENERS_MAX]; /* of more workers than there are now */
	enum worker_interface interfaces[WORKER_OTHER_LISTENERS_MAX]; /* of each of the others */
	unsigned num_others;
	bool is_paused[NUM_WORKER_INTERFACES];
};

/* On failure, listeners that were opened stay open until worker_listeners_done(). */
enum err worker_listeners_init(
	struct worker_listeners *listeners, const struct worker_listeners_options *options, struct why *why) _must_use_;
void worker_listeners_done(struct worker_listeners *listeners);
void worker_listeners_start(struct worker_listeners *listeners); /* where is_held, or after worker_listeners_hold() */
void worker_listeners_hold(struct worker_listeners *listeners);  /* nothing is accepted until it starts again */
/* Takes another socket that listens where one of these does. Adopts fd, and closes it if it fits none. */
void worker_listeners_adopt(struct worker_listeners *listeners, int fd, const struct addr *at);
/* Stops accepting, for good: another process has the sockets too. */
void worker_listeners_close(struct worker_listeners *listeners);
/* Of the listening sockets, which stay the listeners': num of them at most. Returns how many. */
size_t worker_listeners_sockets(const struct worker_listeners *listeners, int *out, size_t num);
uint64_t worker_listeners_num_refused(const struct worker_listeners *listeners); /* for lack of descriptors, in total */
/* Pauses or resumes accepting on that interface, in both address families. Paused: new connections wait in the backlog.
 */
void worker_listeners_pause(struct worker_listeners *listeners, enum worker_interface interface, bool pause);
