/* A small HTTP/1.1 server for pages that are read: GET and HEAD, one request a connection. A page is answered at once
 * or later, as when several threads must be asked first. Everything belongs to the loop's thread. */
#pragma once

#include "base/core/err.h"
#include "base/core/loop.h"
#include "base/core/span.h"

struct http_server;
struct http_request; /* a page that was asked for; ends with its answer */

/* Answers exactly once, now or later; `request` is gone then. Nothing tells when the client goes first: the answer is
 * dropped in that case, also when the server itself is gone by then. */
typedef void http_page_fn(void *arg, struct http_request *request);
void http_answer(struct http_request *request, unsigned status, const char *content_type, struct span body);
const char *http_request_path(const struct http_request *request);
const char *http_request_query(const struct http_request *request); /* after the '?', "" when there is none */

struct http_page {
	const char *path; /* "/why"; exactly this */
	http_page_fn *on_get;
	void *arg;
};

#define HTTP_TEXT    "text/plain; charset=utf-8"
#define HTTP_JSON    "application/json"
#define HTTP_METRICS "text/plain; version=0.0.4; charset=utf-8"

/* Adopts listening_fd. pages: borrowed, num_pages of them; any other path is 404. */
struct http_server *http_server_new(
	struct loop *loop, int listening_fd, const struct http_page *pages, size_t num_pages);
void http_server_free(struct http_server *server); /* cuts what is under way */
DEFINE_CLEANUP(struct http_server *, http_server_free)
size_t http_server_num_conns(const struct http_server *server);
/* Connections that gave way because 64 stood at once; an episode of them is one line in the log. */
uint64_t http_server_num_displaced(const struct http_server *server);
/* Connections that gave way because 64 stood at once; an episode of them is one line in the log. */
uint64_t http_server_num_displaced(const struct http_server *server);
