/* A small HTTP/1.1 server for read-only pages: GET and HEAD, one request per connection. A page may be answered later,
 * such as after several threads were queried. All calls on the loop's thread. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"
#include "base/core/loop.h"
#include "base/core/span.h"

struct http_server;
struct http_request; /* a request; freed by http_answer() */

/* The owner calls http_answer() exactly once, now or later; it frees `request`. If the client has disconnected or the
 * server was freed before, the answer is dropped. */
typedef void http_page_fn(void *arg, struct http_request *request);
void http_answer(struct http_request *request, unsigned status, const char *content_type, struct span body);
/* The same with further header lines, each with its "\r\n"; at most HTTP_HEADERS_MAX bytes of them. */
#define HTTP_HEADERS_MAX 1024
void http_answer_headed(
	struct http_request *request, unsigned status, const char *content_type, const char *headers, struct span body);

/* An answer of 200 without an end, such as server-sent events: pieces are written as they come. It ends when the client
 * is gone, or when it has left HTTP_STREAM_MAX bytes unread (which bounds the memory). Frees
 * the request. NULL: the client is gone. */
#define HTTP_STREAM_MAX (8u * 1024 * 1024)
struct http_stream;
typedef void http_stream_end_fn(void *arg); /* it is freed */
struct http_stream *http_stream_open(struct http_request *request, const char *content_type, const char *headers,
	http_stream_end_fn *on_end, void *arg);
/* Written in the next round of the loop. A client that does not read enough is cut off then. */
void http_stream_put(struct http_stream *stream, struct span piece);

/* "Authorization: Bearer ...": the credential, borrowed until the answer; empty: none. */
struct span http_request_bearer(const struct http_request *request);
/* The owner answers within `ms`, in place of HTTP_ANSWER_MS: until then the server does not answer in its place. */
void http_request_extend(struct http_request *request, uint32_t ms);
bool http_request_is_open(const struct http_request *request); /* false: the server has closed its connection */
const char *http_request_path(const struct http_request *request);
const char *http_request_query(const struct http_request *request); /* after the '?', "" when there is none */
/* The address that the client connected to. ERR_CLOSED: it has disconnected. */
enum err http_request_local(const struct http_request *request, struct addr *out) _must_use_;

struct http_page {
	const char *path; /* "/why" */
	http_page_fn *on_get;
	void *arg;
	bool takes_names; /* also where the Host is a DNS name: read-only, open to its whole network, without a secret
			   */
	bool is_prefix;   /* of all paths that begin with `path`; else exactly that one */
};

#define HTTP_TEXT    "text/plain; charset=utf-8"
#define HTTP_JSON    "application/json"
#define HTTP_METRICS "text/plain; version=0.0.4; charset=utf-8"

/* Adopts listening_fd. pages: borrowed, num_pages of them; the first that matches; any other path is 404. */
struct http_server *http_server_new(
	struct loop *loop, int listening_fd, const struct http_page *pages, size_t num_pages);
/* As listener_hold() and listener_start(). */
void http_server_hold(struct http_server *server);
enum err http_server_start(struct http_server *server) _must_use_;
/* Closes the listening socket; open connections end by themselves. Other calls are still allowed. */
void http_server_stop_accepting(struct http_server *server);
int http_server_fd(const struct http_server *server); /* the listening socket; stays the server's */
void http_server_free(struct http_server *server);    /* closes open connections */
DEFINE_CLEANUP(struct http_server *, http_server_free)
size_t http_server_num_conns(const struct http_server *server);
/* Connections that were evicted because 64 were open; an episode is logged once. */
uint64_t http_server_num_evicted(const struct http_server *server);
