/* The admin socket, for commands that change something: a Unix socket (0600) for the sidecar's own user and root, which
 * SO_PEERCRED proves. Per connection one keyword ("drain", "quit", "release") and one line as answer; to "given" the
 * bytes of base/settings/command_line/given.h; after "hand-over" it is the sidecar's. Any other user is answered with a
 * refusal. */
#pragma once

#include "base/core/err.h"
#include "base/core/loop.h"
#include "base/core/span.h"
#include "base/net/socket.h"

enum admin_command { ADMIN_DRAIN, ADMIN_QUIT, ADMIN_RELEASE };

struct admin_socket;
/* Returns the line to answer. */
typedef const char *admin_command_fn(void *arg, enum admin_command command);
/* Another process wants the listening sockets. The callee owns fd. */
typedef void admin_hand_over_fn(void *arg, int fd, const struct peer_process *peer);
#define ADMIN_HAND_OVER "hand-over"
#define ADMIN_GIVEN     "given"

struct admin_socket_options {
	struct loop *loop;
	const char *path;              /* borrowed */
	struct passed_sockets *passed; /* a listening socket that is taken if it has that path; NULL: none */
	bool is_held;                  /* accepts nothing until admin_socket_resume() */
	admin_command_fn *on_command;
	admin_hand_over_fn *on_hand_over;
	struct span given; /* borrowed; the answer to ADMIN_GIVEN, GIVEN_MAX at most */
	void *arg;
};
enum err admin_socket_new(
	const struct admin_socket_options *options, struct admin_socket **out, struct why *why) _must_use_;
void admin_socket_resume(struct admin_socket *admin);
void admin_socket_hold(struct admin_socket *admin);    /* as is_held */
int admin_socket_fd(const struct admin_socket *admin); /* the listening socket; stays the admin socket's */
/* Removes the file, but not where another process listens there: one that has taken it over, or that this one would. */
void admin_socket_free(struct admin_socket *admin);

/* For the command line: sends the keyword, waits at most 5 s and writes the line of the answer to out. Blocks.
 * ERR_DENIED: the file or the sidecar refuses this user. */
enum err admin_socket_send(const char *path, const char *keyword, char *out, size_t cap, struct why *why) _must_use_;
