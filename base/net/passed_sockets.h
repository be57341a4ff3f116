/* Listening sockets that pass from one process of a program to the next over a connected Unix socket (SCM_RIGHTS,
 * unix(7)). Both then have the same sockets, with one backlog: a client that waits is accepted by either. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"
#include <stdbool.h>
#include <stddef.h>

enum { PASSED_SOCKETS_MAX = 4096 };

/* Standard output and standard error of the caller go with them. Blocks for a moment at most. The caller keeps its
 * descriptors. ERR_LIMIT: more than the other end takes at once. */
enum err passed_sockets_send(int fd, const int *sockets, size_t num, struct why *why) _must_use_;

struct passed_sockets; /* what was received and not yet taken */

/* Blocks up to timeout_ms. ERR_REFUSED: the other end answered by a line of text, which is in the reason, in place of
 * sockets. Descriptors that are no listening stream sockets are closed. */
enum err passed_sockets_receive(int fd, int timeout_ms, struct passed_sockets **out, struct why *why) _must_use_;
void passed_sockets_free(struct passed_sockets *sockets); /* NULL is allowed; closes what was not taken */

/* One that listens at that address or path; -1: none, or sockets is NULL. The caller owns it. */
int passed_sockets_take(struct passed_sockets *sockets, const struct addr *at);
int passed_sockets_take_unix(struct passed_sockets *sockets, const char *path);
/* Any other that is left; *at has family 0 for a Unix socket. -1: none. */
int passed_sockets_take_any(struct passed_sockets *sockets, struct addr *at);
/* Standard output and standard error become those of the other process. */
enum err passed_sockets_use_outputs(struct passed_sockets *sockets, struct why *why) _must_use_;
/* False: they listen in another network namespace than that of this process. True where the kernel does not report it.
 */
bool passed_sockets_are_of_this_network(const struct passed_sockets *sockets);
size_t passed_sockets_num(const struct passed_sockets *sockets);
