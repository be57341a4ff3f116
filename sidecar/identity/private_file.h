/* Reads files with secrets: refuses a file that other users could read or replace (abuse case C16). */
#pragma once

#include "base/core/buf.h"

/* The file must be regular (links are followed, their target is checked), owned by the sidecar's user or root, without
 * any permission for others and not writable by its group. (Its group may read it, as Kubernetes mounts secrets.)
 * ERR_DENIED: the file is not safe; ERR_NOT_FOUND; ERR_TOO_LARGE; ERR_SYSTEM. */
enum err private_file_read(const char *path, size_t max, struct buf *out, struct why *why) _must_use_;
