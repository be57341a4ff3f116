/* base64 as in kubeconfig files (RFC 4648 4): with padding; white space is skipped. Pure. */
#pragma once

#include "base/core/buf.h"

enum err base64_decode(struct span text, struct buf *out) _must_use_; /* appends; ERR_MALFORMED, ERR_LIMIT */
