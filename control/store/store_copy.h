/* Copies a store of one file while a control plane may have it open. */
#pragma once

#include "base/core/err.h"

#define STORE_COPY_MAX (256u << 20) /* bytes of the file, and of its journal */

/* Copies the store at `path` to the new file `to`: all that was committed when this begins, checked row by row.
 * ERR_UNAVAILABLE: it changed faster than it could be read. ERR_STATE_DAMAGED, ERR_TOO_LARGE, ERR_NOT_FOUND, ERR_IO. */
enum err store_copy(const char *path, const char *to, struct why *why) _must_use_;
