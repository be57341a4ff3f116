/* The admission webhook: HTTP/1.1 or HTTP/2 (RFC 9112, RFC 9113) over TLS 1.3, without client certificates. POST
 * /inject takes an AdmissionReview and answers with one (admission.h). The API server offers HTTP/1.1 alone to a
 * webhook that is not on its own host, so that several connections spread over the replicas; it keeps them.
 *
 * Anyone in the cluster can connect. So connections, streams, their time and the bytes of bodies and answers are
 * bounded, half of them is for reviews of pods alone, and at a limit the source that has most gives way. One review is
 * made per round of the loop. */
#pragma once

#include "base/core/loop.h"
#include "base/core/metrics.h"
#include "control/kube/admission.h"
#include "control/kube/webhook_identity.h"

#define WEBHOOK_CONNECTIONS_MAX 64
#define WEBHOOK_STREAMS_MAX     32                  /* of a connection */
#define WEBHOOK_BODIES_MAX      (16u * 1024 * 1024) /* bytes of bodies and answers, of all connections */
#define WEBHOOK_REQUEST_MS      10000               /* from the header to the answer; the API server waits 5 s */

struct webhook_options {
	struct loop *loop;
	int listening_fd;                        /* adopted */
	const struct webhook_identity *identity; /* borrowed */
	const struct admission *admission;       /* borrowed; its owner may change it between rounds */
	struct metric_shard *shard;              /* control/report/metrics.def; NULL: nothing is counted */
};

struct webhook;
struct webhook *webhook_new(const struct webhook_options *options);
void webhook_free(struct webhook *webhook); /* closes everything */
/* No new connections; GOAWAY to the open ones, which end when their streams have. */
void webhook_drain(struct webhook *webhook);
