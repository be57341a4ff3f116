/* Files that hold secrets: refused when others could read or replace them (abuse case C16). */
#pragma once

#include "base/core/buf.h"

/* A plain file (links are followed, what they lead to is judged), owned by us or root, without any right for others and
 * not writable by its group. (A group may read: Kubernetes mounts secrets so.) ERR_DENIED says what is unsafe;
 * ERR_NOT_FOUND; ERR_TOO_LARGE; ERR_SYSTEM. */
enum err private_file_read(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
