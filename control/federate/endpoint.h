/* The bundle endpoint (SPIFFE Federation 5): this mesh's trust bundle at "/", to anyone who asks, over TLS without
 * client certificates. One request per connection. The bundle is public; what is bounded is what asking for it can
 * cost. */
#pragma once

#include "base/core/loop.h"
#include "base/core/metrics.h"
#include "control/federate/endpoint_identity.h"

#define ENDPOINT_CONNECTIONS_MAX 64    /* the oldest of the source with most of them gives way */
#define ENDPOINT_DEADLINE_MS     10000 /* of a connection: handshake, request and answer, against slow clients */

struct endpoint;

struct endpoint_options { /* borrowed */
	struct loop *loop;
	int listening_fd; /* adopted */
	struct endpoint_identity *identity;
	const struct buf *page; /* the bundle as JSON; empty: not yet */
	struct metric_shard *metrics;
};
struct endpoint *endpoint_new(const struct endpoint_options *options);
void endpoint_free(struct endpoint *endpoint); /* closes open connections */
DEFINE_CLEANUP(struct endpoint *, endpoint_free)
