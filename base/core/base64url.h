/* base64url without padding (RFC 4648 5), exactly one text per byte string: unused bits must be zero, and padding,
 * white space and any other byte are refused, so no two texts decode to the same secret. */
#pragma once

#include "base/core/buf.h"

enum err base64url_encode(struct span bytes, struct buf *out) _must_use_; /* appends; ERR_LIMIT as buf_append() */
enum err base64url_decode(struct span text, struct buf *out) _must_use_;  /* appends; ERR_MALFORMED, ERR_LIMIT */
