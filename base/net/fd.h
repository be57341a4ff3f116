/* File descriptors: CLOEXEC and NONBLOCK at creation. The only file that calls socket() and accept(). */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"
#include "base/core/err.h"

void fd_close(int fd);   /* allowed on -1 */
void fd_closep(int *fd); /* for _cleanup_ */
#define _cleanup_fd_ _cleanup_(fd_closep)

/* Raises the soft limit of descriptors (RLIMIT_NOFILE) to the hard limit and returns the limit in force. Every program
 * calls it at the start: service managers leave the soft limit at 1,024. */
unsigned long fd_limit_raise(void);
/* A reserve descriptor, to be closed when no other is left. It needs no path, so it also works under Landlock. -1: no
 * descriptor is left. */
int fd_spare(void);

/* Of all below: *out_fd, *out_peer and *out are untouched on failure. ERR_FD_EXHAUSTED: the process or the machine has
 * no descriptor left. ERR_SYSTEM: whatever else the kernel reports. */

/* ERR_FD_EXHAUSTED; ERR_DENIED: a filter or a security module; ERR_SYSTEM, such as a family that the kernel has not. */
enum err fd_socket(int family, int type, int *out_fd) _must_use_;
/* A connection that was lost while it waited is passed over. out_peer->port 0: the peer of a Unix socket.
 * ERR_UNAVAILABLE: none is waiting. ERR_FD_EXHAUSTED, also where the kernel has no memory for it: it goes on waiting.
 * ERR_SYSTEM. */
enum err fd_accept(int listening_fd, struct addr *out_peer, int *out_fd) _must_use_;

/* Appends the whole file. ERR_NOT_FOUND; ERR_DENIED: its permissions; ERR_UNSUPPORTED: it is no regular file;
 * ERR_TOO_LARGE: more than `max` bytes, or than *out takes; ERR_IO: the disk; ERR_FD_EXHAUSTED; ERR_SYSTEM. */
enum err fd_read_file(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
/* The same of a file with a secret: refuses one that other users could read or replace (abuse case C16). It must be
 * regular (links are followed, their target is checked), owned by the program's user or root, without any permission
 * for others and not writable by its group. (Its group may read it, as Kubernetes mounts secrets.) ERR_DENIED: also one
 * that is not so, regular or not. */
enum err fd_read_private_file(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
/* As fd_read_file(), but no more than the first `max` bytes. ERR_TOO_LARGE: *out takes fewer than those. */
enum err fd_read_head(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
/* Replaces the file atomically: writes a new file with `mode` beside it (PATH.new, of which a former one is removed),
 * syncs, renames, syncs the folder. ERR_NOT_FOUND: there is no such folder; ERR_DENIED; ERR_IO: the disk is full, or
 * fails; ERR_EXISTS: another process writes it at the same moment; ERR_FD_EXHAUSTED; ERR_SYSTEM, such as a file system
 * that is read-only. The former content stays, except where the folder's sync failed: then the new one is there, and
 * may be lost with the power. */
enum err fd_write_file(const char *path, struct span content, unsigned mode, struct why *why) _must_use_;
/* So that a rename in it lasts. ERR_NOT_FOUND, ERR_DENIED, ERR_IO, ERR_FD_EXHAUSTED, ERR_SYSTEM. */
enum err fd_sync_folder(const char *folder, struct why *why) _must_use_;
enum err fd_sync_folder_of(const char *path, struct why *why) _must_use_; /* the folder that the file is in */
/* Removes the file durably; allowed when there is none, also no such folder. ERR_DENIED, ERR_IO, ERR_SYSTEM, and those
 * of fd_sync_folder(), when it is gone already. */
enum err fd_remove_file(const char *path, struct why *why) _must_use_;
