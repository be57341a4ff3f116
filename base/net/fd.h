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

enum err fd_socket(int family, int type, int *out_fd) _must_use_;
enum err fd_accept(int listening_fd, struct addr *out_peer,
	int *out_fd) _must_use_; /* ERR_UNAVAILABLE: no connection is waiting */
enum err fd_read_file(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
/* A file with a secret: refuses one that other users could read or replace (abuse case C16). It must be regular (links
 * are followed, their target is checked), owned by the program's user or root, without any permission for others and
 * not writable by its group. (Its group may read it, as Kubernetes mounts secrets.) ERR_DENIED: the file is not safe;
 * ERR_NOT_FOUND; ERR_TOO_LARGE; ERR_SYSTEM. */
enum err fd_read_private_file(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
/* As fd_read_file(), but no more than the first `max` bytes. */
enum err fd_read_head(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
/* Replaces the file atomically: writes a new file with `mode` beside it, syncs, renames, syncs the folder. */
enum err fd_write_file(const char *path, struct span content, unsigned mode, struct why *why) _must_use_;
enum err fd_sync_folder(const char *folder, struct why *why) _must_use_;  /* so that a rename in it lasts */
enum err fd_sync_folder_of(const char *path, struct why *why) _must_use_; /* the folder that the file is in */
/* Removes the file durably; allowed when there is none. */
enum err fd_remove_file(const char *path, struct why *why) _must_use_;
