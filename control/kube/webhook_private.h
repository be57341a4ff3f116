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

#define WEBHOOK_IDLE_MS 120000 /* a connection without a request; the API server closes its own after 90 s */

/* What reviews are about: webhook_shares.c. */
enum webhook_class { WEBHOOK_PODS, WEBHOOK_OTHERS, WEBHOOK_NUM_CLASSES };

struct webhook {
	struct webhook_options options;
	struct listener *listener; /* NULL: draining */
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct shares *places; /* connections, by class and source */
	struct shares *bodies; /* bytes of bodies and of answers that are not sent, by class and source */
	struct limited_log *lines;
	struct list conns;
	struct list reviews[WEBHOOK_NUM_CLASSES]; /* whole requests, in the order of their arrival */
	enum webhook_class turn;                  /* whose review is next, if there is one */
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
	unsigned num_others;    /* of its requests, those of WEBHOOK_OTHERS */
	struct loop_timer idle; /* HTTP/2; webhook_http1 has its own */
	bool has_goaway;        /* HTTP/2: GOAWAY after it was idle */
};

/* One stream, or the one request of a connection with HTTP/1.1 (stream_id 0). */
struct webhook_request {
	struct webhook_conn *conn;
	struct list_link link;   /* in its connection */
	struct list_link review; /* among the reviews; in none until its body is whole */
	struct share bytes;
	struct loop_timer deadline;
	int32_t stream_id;
	enum webhook_class class;
	bool is_classified; /* enough of the body is there; before, `class` is not set */
	struct buf body, answer;
	bool is_answered; /* what follows of its body is dropped */
	bool is_refused;  /* answered by webhook_request_refuse() */
};

/* webhook_conn.c */
void webhook_on_accept(void *arg, int fd, const struct addr *from);
void webhook_conn_free(struct webhook_conn *conn);
bool webhook_conn_is_idle(const struct webhook_conn *conn); /* no review is lost with it */
void webhook_conn_watch_idle(struct webhook_conn *conn);    /* a request has begun or ended */
void webhook_conn_drain(struct webhook_conn *conn);         /* may free it */
void webhook_conn_dead(struct webhook_conn *conn, const struct why *why);
/* webhook_shares.c */
struct shares *webhook_shares_new(uint64_t capacity);
bool webhook_conn_take_place(struct webhook_conn *conn); /* may free others */
/* Whether the request may have so many bytes of body or answer; else it is to be refused. May refuse or end others. */
bool webhook_request_weigh(struct webhook_request *request, bool is_whole, size_t len) _must_use_;
void webhook_request_lighten(struct webhook_request *request, size_t len); /* it has no more than that */
void webhook_request_release(struct webhook_request *request);
/* webhook_request.c: the events of a connection's streams. */
extern const struct h2_link_events webhook_events;
struct webhook_request *webhook_request_new(struct webhook_conn *conn, int32_t stream_id);
void webhook_request_free(struct webhook_request *request);
/* A path or a method that is not served is answered. */
void webhook_request_check(struct webhook_request *request, struct span path, bool is_post);
void webhook_request_append(struct webhook_request *request, struct span bytes); /* answers where that is too much */
void webhook_request_end(struct webhook_request *request);                       /* its body is whole */
void webhook_request_answer_text(struct webhook_request *request, const char *status, const char *text);
void webhook_request_refuse(struct webhook_request *request); /* for the others' sake: too much is under way */
void webhook_request_answer(struct webhook_request *request, const char *status, const char *content_type);
/* webhook_http1.c: adopts the transport, whose handshake is done. */
struct webhook_http1 *webhook_http1_new(struct webhook_conn *conn, struct transport *transport);
void webhook_http1_free(struct webhook_http1 *http1);
bool webhook_http1_is_idle(const struct webhook_http1 *http1);
void webhook_http1_drain(struct webhook_http1 *http1); /* may free the connection */
void webhook_http1_answer(struct webhook_request *request, const char *status, const char *content_type);
/* webhook.c */
void webhook_review_later(struct webhook *webhook, struct webhook_request *request);
