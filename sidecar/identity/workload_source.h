/* The workload's identity from a SPIFFE Workload API, such as that of a SPIRE agent, in place of the control plane's
 * enrollment: a stream of FetchX509SVID over a Unix socket. Each answer is the whole state; it is verified before
 * anything changes, and one that is not valid leaves the identity in use. The stream is opened anew forever. Without
 * the agent the last identity stays until its notAfter (decision 077). Main thread only.
 * Specification: SPIFFE Workload Endpoint, SPIFFE Workload API 5. */
#pragma once

#include "sidecar/identity/source_identity.h"

struct workload_source;

struct workload_source_options { /* all borrowed */
	struct loop *loop;
	const char *socket; /* an absolute path */
	struct trust_domain trust_domain;
	const char *spiffe_id; /* of the SVID to take; NULL: the one in use, at first the first one */

	struct source_callbacks callbacks;
};

struct workload_source *workload_source_new(const struct workload_source_options *options);
void workload_source_start(struct workload_source *source);
void workload_source_free(struct workload_source *source); /* NULL is allowed */
/* What it has given; `failure`: why there is no connection now, or why the last answer was refused. Borrowed. */
const struct source_identity *workload_source_identity(const struct workload_source *source);
