/* The libraries that are linked into this release. */
#pragma once

#include "base/core/buf.h"

void versions_put(struct buf *out); /* one line "NAME VERSION" per library */
