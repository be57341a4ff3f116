/* A client of Kubernetes' API server: one HTTP/2 connection (RFC 9113) for requests and watches (kube_watch.h), made
 * when one needs it, and again after its end with full-jitter backoff from 0.5 to 5 s. Belongs to one loop.
 *
 * After GOAWAY requests go on, and what follows uses a new connection. What the server has not begun (REFUSED_STREAM)
 * is sent again. A 401 has the token file read again, and the request sent again if the token is another one. */
#pragma once

#include "base/core/loop.h"
#include "base/core/span.h"
#include "base/kube/kube_config.h"

struct kube_client;
struct kube_client *kube_client_new(struct loop *loop, const struct kube_config *config); /* config: borrowed */
/* Drops requests without on_done. Watches must be stopped. Not within a callback of a request or a watch. */
void kube_client_free(struct kube_client *client);
DEFINE_CLEANUP(struct kube_client *, kube_client_free)

#define KUBE_RESPONSE_MAX (4 * 1024 * 1024) /* bytes of a body, where none is given */

struct kube_request_options {     /* borrowed during the call */
	const char *method;       /* "GET" */
	const char *path;         /* with its query, percent-encoded: "/api/v1/pods?limit=1" */
	const char *content_type; /* of the body; NULL: application/json */
	const char *accept;       /* NULL: application/json */
	struct span body;
	uint32_t timeout_ms; /* for all of it, waiting for a connection included; 0: 10,000 */
	size_t response_max; /* a longer body is ERR_TOO_LARGE; 0: KUBE_RESPONSE_MAX */
};

struct kube_response {
	unsigned status; /* of HTTP */
	struct span body;
	uint32_t retry_after_s; /* the header; 0: none */
	int64_t date_s;         /* the header, of who answered: seconds since 1970; 0: none */
};

/* err ERR_NONE: an answer of any HTTP status. Else there is none, and response is NULL: ERR_UNAVAILABLE, ERR_REFUSED,
 * ERR_UNREACHABLE, ERR_UNTRUSTED, ... : no connection, so nothing was sent; ERR_TIMEOUT, ERR_CLOSED, ERR_RESET: it may
 * have been carried out; ERR_TOO_LARGE. The request is over. All is borrowed during the call. */
typedef void kube_done_fn(void *arg, enum err err, const struct kube_response *response, const struct why *why);

struct kube_request;
/* Never calls on_done within the call. Without a connection it fails as soon as one attempt to make it has failed, and
 * within a second after that at once. */
struct kube_request *kube_request_start(
	struct kube_client *client, const struct kube_request_options *options, kube_done_fn *on_done, void *arg);
void kube_request_cancel(struct kube_request *request); /* before on_done, which is then not called */
