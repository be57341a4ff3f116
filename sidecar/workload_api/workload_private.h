/* Shared by the files of the Workload API's server: workload_api.c has the socket, the callers and the list of streams;
 * workload_stream.c the streams of the SPIFFE Workload API; sds_stream.c those of Envoy's SDS. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/list.h"
#include "base/net/listener.h"
#include "base/rpc/rpc_server.h"
#include "sidecar/workload_api/workload_api.h"

#define WORKLOAD_COMPONENT "workload_api"

enum {
	WORKLOAD_STREAMS_MAX = 256,    /* in all: each holds an answer at most */
	WORKLOAD_CONNECTIONS_MAX = 64, /* in all, of callers that may ask */
	WORKLOAD_PER_USER = 32,        /* one user of several does not take all */
	WORKLOAD_REFUSED_MAX = 8,      /* of callers that may not ask: they hold no place of the others */
	WORKLOAD_WAIT_MS = 10000,      /* of a call before there is an identity */
	/* The facts about a caller are those of connect(): a program that has been replaced or has another user
	 * since then connects anew (abuse case W5). */
	WORKLOAD_LIFETIME_MS = 3600 * 1000,
	WORKLOAD_REFUSED_LIFETIME_MS = 5000,
};

struct workload_api {
	struct loop *loop;
	char *path;
	bool is_held; /* the file is another process's */
	struct workload_rules rules;
	struct listener *listener;
	struct rpc_server *server;
	struct limited_log *lines;
	struct credentials *credentials; /* NULL: no valid identity now */
	struct rpc_client *control;      /* NULL: not connected */
	unsigned num_control_calls;
	uint64_t version; /* of the state that the streams show; increases with each change */
	struct list streams, peers;
	unsigned num_streams, num_refused;
	struct why refusal; /* of the call that is being judged */
};

struct workload_stream;
struct workload_stream_kind {
	/* Sends the state, or ends the stream. Only while there are credentials, and with the request there. */
	void (*push)(struct workload_stream *stream);
	void (*on_expired)(struct workload_stream *stream); /* may be NULL */
};

struct workload_stream { /* the argument of a call */
	const struct workload_stream_kind *kind;
	struct workload_api *api;
	struct rpc_call *call; /* NULL: it has ended */
	struct list_link link;
	struct loop_timer wait;
	bool has_request;
};

/* Takes a place; NULL: the call has been ended with the reason. `size`: of a struct that begins with *stream. */
void *workload_stream_new(
	struct workload_api *api, struct rpc_call *call, const struct workload_stream_kind *kind, size_t size);
void workload_stream_free(struct workload_stream *stream);
/* The request is there: pushes at once, or when there are credentials. */
void workload_stream_begin(struct workload_stream *stream);
/* The state to a stream that has its request, while there are credentials. */
void workload_stream_push(struct workload_stream *stream);
/* Ends the call. */
void workload_stream_end(struct workload_stream *stream, enum rpc_status status, const char *message);
/* Of the Workload API: without an identity a stream ends with PermissionDenied. */
void workload_stream_expire(struct workload_stream *stream);
/* Sends an answer, or ends the call of a reader that is too slow. */
void workload_stream_send(struct workload_stream *stream, enum err encoded, const struct buf *message);

/* workload_stream.c: whether the call has the header that the Workload API requires; if not, it has been ended. */
bool workload_has_header(struct rpc_call *call) _must_use_;
/* workload_jwt.c */
extern const struct workload_stream_kind workload_jwt_bundles;
void workload_jwt_detach(struct workload_api *api); /* the connection to the control plane has closed */
void workload_jwt_start_fetch(void *api, struct rpc_call *call, struct rpc_peer *peer);
void workload_jwt_start_validate(void *api, struct rpc_call *call, struct rpc_peer *peer);
void workload_jwt_on_message(void *call_arg, struct rpc_call *call, struct span message);
void workload_jwt_on_done(void *call_arg, struct rpc_call *call);

extern const struct rpc_method workload_methods[];
extern const size_t num_workload_methods;
enum rpc_status workload_authorize(void *api, const struct rpc_peer *peer, const char **out_message);
