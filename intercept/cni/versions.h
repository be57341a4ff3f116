/* The libraries inside handfast-cni, for --version. */
#pragma once

#include "base/core/buf.h"

void versions_put(struct buf *out); /* a line "NAME VERSION" each */
