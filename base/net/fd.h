/* Descriptors: CLOEXEC and NONBLOCK at birth, closed once, never leaked. The only door to socket() and accept(). */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"
#include "base/core/err.h"

void fd_close(int fd);   /* allowed on -1 */
void fd_closep(int *fd); /* for _cleanup_ */
#define _cleanup_fd_ _cleanup_(fd_closep)

/* Raises the soft limit of descriptors (RLIMIT_NOFILE) to the hard one and returns what is in force. Every program
 * calls it first: service managers leave the soft limit at 1,024. */
unsigned long fd_limit_raise(void);
/* A descriptor that stands for nothing: kept to be given up when there is no other. It needs no path, so it can also be
 * made where the file system is closed to us (Landlock). -1: there is none. */
int fd_spare(void);

enum err fd_socket(int family, int type, int *out_fd) _must_use_;
enum err fd_accept(
	int listening_fd, struct addr *out_peer, int *out_fd) _must_use_; /* ERR_UNAVAILABLE: nothing waits */
enum err fd_read_file(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
/* Written to a new file of `mode` beside it, synced, renamed over it, folder synced: whole or not at all. */
enum err fd_write_file(const char *path, struct span content, unsigned mode, struct why *why) _must_use_;
