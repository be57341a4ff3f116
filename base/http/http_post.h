/* Parses one POST request with its body incrementally (RFC 9112), for a caller that keeps its connection. No I/O.
 * A client that sends a second request before the answer to the first is refused. */
#pragma once

#include "base/core/buf.h"
#include "base/http/http_head.h"

/* A piece of the body, borrowed during the call; the path is known by then. */
typedef void http_body_fn(void *arg, struct span bytes);

struct http_post;
struct http_post *http_post_new(http_body_fn *on_body, void *arg);
void http_post_free(struct http_post *post);

enum http_post_result {
	HTTP_POST_MORE,     /* not complete yet */
	HTTP_POST_COMPLETE, /* head and body are there */
	HTTP_POST_BAD,      /* respond with http_post_fault(), and close */
};
enum http_post_result http_post_feed(
	struct http_post *post, struct span bytes); /* not after another result than MORE */

struct http_fault http_post_fault(const struct http_post *post);
const char *http_post_path(const struct http_post *post);   /* "/inject", without the query; NULL: not known yet */
bool http_post_is_kept_alive(const struct http_post *post); /* after COMPLETE: the client keeps the connection */
