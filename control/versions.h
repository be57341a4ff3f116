/* Every library that is linked into this release. */
#pragma once

#include "base/core/buf.h"

void versions_put(struct buf *out); /* a line "NAME VERSION" per library */
