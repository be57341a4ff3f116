/* Parts of the webhook; only control/kube/webhook*.c include this. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/shares.h"
#include "base/kube/h2_link.h"
#include "base/net/listener.h"
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

struct webhook_conn {
	struct webhook *webhook;
	struct list_link link;
	struct share place;
	struct addr from;
	struct h2_link *h2;
	struct list requests;
};

/* One stream. */
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
/* webhook_request.c: the events of a connection's streams. */
extern const struct h2_link_events webhook_events;
void webhook_request_free(struct webhook_request *request);
void webhook_request_answer(struct webhook_request *request, const char *status, const char *content_type);
/* webhook.c */
void webhook_review_later(struct webhook *webhook, struct webhook_request *request);
