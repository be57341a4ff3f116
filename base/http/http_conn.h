/* One connection of the server in http_get.h: one request, one response, then it closes. Private to base/http. */
#pragma once

#include "base/core/list.h"
#include "base/core/shares.h"
#include "base/http/http_get.h"
#include "base/http/http_head.h"

enum { HTTP_REQUEST_MS = 5000, HTTP_ANSWER_MS = 10000, HTTP_WRITE_MS = 10000, HTTP_LINGER_MS = 1000 };

enum http_phase {
	HTTP_READING,   /* the request */
	HTTP_ANSWERING, /* waiting for the page's owner */
	HTTP_WRITING,   /* the answer */
	HTTP_STREAMING, /* an answer without an end */
	HTTP_LINGERING, /* all is written; waiting until the client has read it, with a timeout */
};

struct http_conn {
	struct list_link link; /* in its server */
	struct http_server *server;
	struct share share; /* of the connections, by source */
	struct loop *loop;
	int fd;
	struct loop_io io;
	struct loop_timer deadline;
	struct loop_task page_task; /* calls on_get outside of the read callback */
	enum http_phase phase;
	struct http_head *head;
	struct http_request *request; /* HTTP_ANSWERING */
	struct http_stream *stream;   /* HTTP_STREAMING */
	struct buf out;
};

struct http_conn *http_conn_new(struct http_server *server, struct loop *loop, int fd); /* adopts fd */
void http_conn_free(struct http_conn *conn); /* also removes it from the server's list */

/* Functions of the server: finding a page; removing a connection that ends. */
bool http_server_takes_names(const struct http_server *server); /* for a page, at least */
const struct http_page *http_server_page(const struct http_server *server, const char *path);
void http_server_forget(struct http_server *server, struct http_conn *conn);
