/* The workload's identity from a SPIFFE Workload API, such as that of a SPIRE agent, in place of the control plane's
 * enrollment: a stream of FetchX509SVID over a Unix socket. Each answer is the whole state; it is verified before
 * anything changes, and one that is not valid leaves the identity in use. The stream is opened anew forever. Without
 * the agent the last identity stays until its notAfter (decision 077). Main thread only.
 * Specification: SPIFFE Workload Endpoint, SPIFFE Workload API 5. */
#pragma once

#include "base/core/loop.h"
#include "certs/credentials.h"
#include "sidecar/identity/identity_event.h"

struct workload_source;

struct workload_source_options { /* all borrowed; the callbacks' arguments are borrowed during the call */
	struct loop *loop;
	const char *socket; /* an absolute path */
	struct trust_domain trust_domain;
	const char *spiffe_id; /* of the SVID to take; NULL: the one in use, at first the first one */

	/* NULL: the credentials have expired. */
	void (*on_credentials)(void *arg, struct credentials *credentials);
	void (*on_event)(void *arg, enum identity_event event, const struct why *why); /* why: NULL on success */
	void *arg;
};

struct workload_source *workload_source_new(const struct workload_source_options *options);
void workload_source_start(struct workload_source *source);
void workload_source_free(struct workload_source *source);                             /* NULL is allowed */
struct credentials *workload_source_credentials(const struct workload_source *source); /* borrowed; NULL: none */
bool workload_source_is_valid(const struct workload_source *source); /* there are credentials, which are valid now */
/* Why there is no connection to the Workload API now, or why its last answer was refused; err ERR_NONE: neither. */
const struct why *workload_source_failure(const struct workload_source *source);
