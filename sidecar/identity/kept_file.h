/* One file of what a sidecar keeps for a restart without a control plane: a first line with the version, the SHA-256 of
 * binding and content, and the content. The binding is of this state folder, so that a file of another one is refused.
 */
#pragma once

#include "base/core/buf.h"

#define KEPT_FILE_MAX (8u << 20) /* bytes of content: bounds disk and memory */

/* Replaces the file atomically (mode 0600). ERR_TOO_LARGE, ERR_IO. */
enum err kept_file_write(const char *path, struct span binding, struct span content, struct why *why) _must_use_;
/* ERR_NOT_FOUND: there is none. ERR_STATE_DAMAGED: a byte has changed since it was written, or it is of another folder
 * or release. ERR_DENIED, ERR_TOO_LARGE: see fd_read_private_file(). The caller wipes the content. */
enum err kept_file_read(const char *path, struct span binding, struct buf *out, struct why *why) _must_use_;
