/* The client and its streams. Private to kube_client.c and kube_stream.c. */
#pragma once

#include "base/core/backoff.h"
#include "base/core/list.h"
#include "base/kube/kube_dial.h"
#include "base/kube/kube_stream.h"
#include "base/kube/kube_token.h"
#include "base/rpc/h2_link.h"

struct kube_connection { /* heap */
	struct kube_client *client;
	struct list_link link; /* of the client's draining ones */
	struct h2_link *h2_link;
	struct list streams;
	bool has_answered; /* a request: until then it has not proved that it works */
	bool is_draining;
};

struct kube_client {
	struct loop *loop;
	const struct kube_config *config;
	char *authority;
	struct web_peer peer;
	struct web_dial *dial;
	struct kube_connection *current; /* NULL: none; may be handshaking */
	struct list draining;            /* connections after GOAWAY, until their streams end */
	struct list waiting;             /* streams without a connection */
	struct loop_task pump;
	struct backoff backoff;
	struct loop_timer retry;
	uint64_t failed_at_ms; /* when the last connection, or attempt at one, failed; 0: it answered */
	struct why failure;
	struct kube_token token;
	struct kube_turns turns;
};

struct kube_stream { /* heap */
	struct kube_client *client;
	struct kube_connection *connection; /* NULL: waiting */
	struct list_link link;              /* of the connection's, or of those that wait */
	int32_t id;
	char *method, *path, *content_type, *accept;
	struct buf body;
	size_t body_sent;
	const struct kube_stream_events *events;
	void *arg;
	uint32_t token_generation; /* of the token that was sent */
	unsigned num_sent;
	bool has_head, has_sent_all;
};

/* --- kube_stream.c --- */
extern const struct h2_link_events kube_link_events; /* arg: a kube_connection */
/* ERR_NONE: it is on the connection, or has ended; ERR_LIMIT, ERR_CLOSED: the connection takes none now, or no more. */
enum err kube_stream_send(struct kube_stream *stream, struct kube_connection *connection) _must_use_;
void kube_stream_finish(struct kube_stream *stream, enum err err, const struct why *why); /* calls on_end, frees */
/* Resets it, if sent: it is in no list then. */
void kube_stream_detach(struct kube_stream *stream);
void kube_stream_drop(struct kube_stream *stream); /* frees it, without a reset */

/* --- kube_client.c --- */
void kube_client_pump(struct kube_client *client); /* in a task: sends what waits, connects */
void kube_connection_opened(struct kube_connection *connection);
void kube_connection_answered(struct kube_connection *connection);
void kube_connection_drain(struct kube_connection *connection);
void kube_connection_dead(struct kube_connection *connection, const struct why *why);
