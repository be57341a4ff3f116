/* What changes something goes through here: a Unix socket (0600) for our own user and root, told by SO_PEERCRED. One
 * word a connection, one line back: "drain", "quit", "release". */
#pragma once

#include "base/core/err.h"
#include "base/core/loop.h"

enum admin_command { ADMIN_DRAIN, ADMIN_QUIT, ADMIN_RELEASE };

struct admin_socket;
/* on_command's answer is the line that goes back. */
typedef const char *admin_command_fn(void *arg, enum admin_command command);
enum err admin_socket_new(struct loop *loop, const char *path, admin_command_fn *on_command, void *arg,
	struct admin_socket **out, struct why *why) _must_use_;
void admin_socket_free(struct admin_socket *admin); /* removes the file */

/* For the command line: sends the word, waits at most 5 s and writes the answer to out. Blocks. */
enum err admin_socket_ask(const char *path, const char *word, char *out, size_t cap, struct why *why) _must_use_;
