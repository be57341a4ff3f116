/* The admin socket, for commands that change something: a Unix socket (0600) for the sidecar's own user and root, which
 * SO_PEERCRED proves. Per connection one keyword ("drain", "quit", "release") and one line as answer. Any other user is
 * answered with a refusal. */
#pragma once

#include "base/core/err.h"
#include "base/core/loop.h"

enum admin_command { ADMIN_DRAIN, ADMIN_QUIT, ADMIN_RELEASE };

struct admin_socket;
/* Returns the line to answer. */
typedef const char *admin_command_fn(void *arg, enum admin_command command);
enum err admin_socket_new(struct loop *loop, const char *path, admin_command_fn *on_command, void *arg,
	struct admin_socket **out, struct why *why) _must_use_;
void admin_socket_free(struct admin_socket *admin); /* removes the file */

/* For the command line: sends the keyword, waits at most 5 s and writes the line of the answer to out. Blocks.
 * ERR_DENIED: the file or the sidecar refuses this user. */
enum err admin_socket_send(const char *path, const char *keyword, char *out, size_t cap, struct why *why) _must_use_;
