/* A body in the chunked coding (RFC 9112 7.1), as http_answer.h leaves it. Pure. */
#pragma once

#include "base/core/buf.h"

/* Appends the content of all chunks. Extensions and trailers are skipped. ERR_MALFORMED: not the coding, or the last
 * chunk is missing; ERR_LIMIT: no room. */
enum err http_chunks_join(struct span chunked, struct buf *out) _must_use_;
