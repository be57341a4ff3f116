/* One connection to the server of http_get.h: a request in, an answer out, then it closes. For this folder alone. */
#pragma once

#include "base/core/list.h"
#include "base/core/shares.h"
#include "base/http/http_get.h"
#include "base/http/http_head.h"

enum { HTTP_REQUEST_MS = 5000, HTTP_ANSWER_MS = 10000, HTTP_WRITE_MS = 10000, HTTP_LINGER_MS = 1000 };

enum http_phase {
	HTTP_READING,   /* the request */
	HTTP_ANSWERING, /* the page's owner is at work */
	HTTP_WRITING,   /* the answer */
	HTTP_LINGERING, /* all is written; until the client has it, or a moment */
};

struct http_conn {
	struct list_link link; /* in its server */
	struct http_server *server;
	struct share share; /* its place, by source */
	struct loop *loop;
	int fd;
	struct loop_io io;
	struct loop_timer deadline;
	struct loop_task page_task; /* asks for the page outside of the read callback */
	enum http_phase phase;
	struct http_head *head;
	struct http_request *request; /* HTTP_ANSWERING */
	struct buf out;
};

struct http_conn *http_conn_new(struct http_server *server, struct loop *loop, int fd); /* adopts fd */
void http_conn_free(struct http_conn *conn); /* also takes it off the server's list */

/* The server's part: finds the page; and is told of the end. */
const struct http_page *http_server_page(const struct http_server *server, const char *path);
void http_server_forget(struct http_server *server, struct http_conn *conn);
