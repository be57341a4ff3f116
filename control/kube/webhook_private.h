/* Parts of the webhook; only control/kube/webhook*.c include this. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/shares.h"
#include "base/net/listener.h"
#include "base/rpc/h2_link.h"
#include "base/rpc/transport.h"
#include "base/tls/tls_context.h"
#include "base/tls/tls_session.h"
#include "control/kube/webhook.h"

struct webhook {
	struct webhook_options options;
	struct listener *listener; /* NULL: draining */
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct shares *places; /* connections, by source */
	struct shares *bodies; /* bytes of unfinished bodies, by source */
	struct limited_log *lines;
	struct list conns, reviews; /* reviews: whole requests, in the order of their arrival */
	struct loop_task review_task;
};

struct webhook_http1;

/* A TLS handshake, then HTTP/2 or HTTP/1.1, as the client's ALPN has it. */
struct webhook_conn {
	struct webhook *webhook;
	struct list_link link;
	struct share place;
	struct addr from;
	struct transport *opening; /* during the handshake */
	struct loop_io io;
	struct loop_timer open_timeout;
	struct h2_link *h2;
	struct webhook_http1 *http1;
	struct list requests;
};

/* One stream, or the one request of a connection with HTTP/1.1 (stream_id 0). */
struct webhook_request {
	struct webhook_conn *conn;
	struct list_link link;   /* in its connection */
	struct list_link review; /* among the reviews; in none until its body is whole */
	struct share bytes;
	struct loop_timer deadline;
	int32_t stream_id;
	struct buf body, answer;
	bool is_answered; /* what follows of its body is dropped */
};

/* webhook_conn.c */
void webhook_on_accept(void *arg, int fd, const struct addr *from);
void webhook_conn_free(struct webhook_conn *conn);
void webhook_conn_drain(struct webhook_conn *conn); /* may free it */
void webhook_conn_dead(struct webhook_conn *conn, const struct why *why);
/* webhook_request.c: the events of a connection's streams. */
extern const struct h2_link_events webhook_events;
struct webhook_request *webhook_request_new(struct webhook_conn *conn, int32_t stream_id);
void webhook_request_free(struct webhook_request *request);
/* A path or a method that is not served is answered. */
void webhook_request_check(struct webhook_request *request, struct span path, bool is_post);
void webhook_request_append(struct webhook_request *request, struct span bytes); /* answers where that is too much */
void webhook_request_answer_text(struct webhook_request *request, const char *status, const char *text);
void webhook_request_answer(struct webhook_request *request, const char *status, const char *content_type);
/* webhook_http1.c: adopts the transport, whose handshake is done. */
struct webhook_http1 *webhook_http1_new(struct webhook_conn *conn, struct transport *transport);
void webhook_http1_free(struct webhook_http1 *http1);
void webhook_http1_drain(struct webhook_http1 *http1); /* may free the connection */
void webhook_http1_answer(struct webhook_request *request, const char *status, const char *content_type);
/* webhook.c */
void webhook_review_later(struct webhook *webhook, struct webhook_request *request);
