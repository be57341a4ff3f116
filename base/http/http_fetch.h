/* Fetches one page over HTTP/1.1, for command lines. Blocks. */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"

struct http_fetched {
	unsigned status;
	struct span body; /* in the buffer */
};

/* GET, on a connection of its own. timeout_ms: for each wait on the socket. ERR_LIMIT: the answer does not fit into
 * `answer`, which is empty at first. ERR_MALFORMED: it is no HTTP. */
enum err http_fetch(const struct addr *at, const char *path, int timeout_ms, struct buf *answer,
	struct http_fetched *out) _must_use_;
