/* Bytes that take descriptors with them over a connected Unix socket (SCM_RIGHTS, unix(7)). */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define PASSED_FDS_MAX 64 /* with one message; the kernel allows 253 */

struct passed_fds {
	int fds[PASSED_FDS_MAX]; /* the receiver's; CLOEXEC */
	size_t num;
};

/* Never blocks. All bytes, one at least; ERR_LIMIT: a part alone was sent. The caller keeps its descriptors. */
enum err passed_fds_send(int fd, struct span bytes, const int *fds, size_t num) _must_use_;
/* Never blocks. What is there, `cap` bytes at most. *out and *out_len are set on failure, too. ERR_CLOSED: the other
 * end has closed. ERR_UNAVAILABLE: nothing is there. ERR_LIMIT: the bytes have come, but not all of their descriptors.
 */
enum err passed_fds_receive(int fd, char *bytes, size_t cap, size_t *out_len, struct passed_fds *out) _must_use_;
void passed_fds_close(struct passed_fds *passed);
