/* base64 with padding (RFC 4648 4), as JSON objects of Kubernetes hold bytes. Pure. */
#pragma once

#include "base/core/buf.h"

enum err base64_encode(struct span bytes, struct buf *out) _must_use_; /* appends; ERR_LIMIT */
