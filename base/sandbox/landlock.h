/* Access to files by an allow list of paths, enforced by the kernel (Landlock, landlock(7)). Whatever was opened before
 * stays open. Rules are of the folder or file that has the path now: a file that is replaced by renaming is under the
 * rule of its folder alone. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

struct landlock_path {
	const char *path; /* with all that lies below it */
	bool may_write;   /* and create and remove; else read only */
};

/* An empty list; the caller closes it. ERR_UNSUPPORTED: the kernel has no Landlock. */
enum err landlock_new(int *out_fd, struct why *why) _must_use_;
/* False: there is no such path. */
bool landlock_allow(int fd, const struct landlock_path *path);
/* For the calling thread and those that it starts, irrevocably. Sets no_new_privs. */
enum err landlock_enforce(int fd, struct why *why) _must_use_;
