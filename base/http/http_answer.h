/* The answer of a server (HTTP/1.1, RFC 9112), read from what came so far. Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

struct http_answer {
	unsigned status;
	struct span head, body; /* of the given bytes; the head with its first line and the empty one */
};

/* ERR_UNAVAILABLE: more has to come. The body is whole when Content-Length is reached, or at the end of the connection
 * (is_end). A chunked body is whole with its last chunk, and stays as it came. 101, 204 and 304 have no body (RFC 9110
 * 6.4.1). ERR_MALFORMED: no HTTP. */
enum err http_answer_read(struct span bytes, bool is_end, struct http_answer *out) _must_use_;
/* The value of a header, without spaces around it; ptr NULL: there is none. name: in any case. */
struct span http_answer_header(const struct http_answer *answer, const char *name);
