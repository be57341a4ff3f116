/* The identity that a source other than the control plane has given (workload_source.h, istio_source.h): the one in use
 * until its notAfter, and why no newer one came. Main thread only. */
#pragma once

#include "base/core/loop.h"
#include "certs/credentials.h"
#include "sidecar/identity/identity_event.h"
#include "sidecar/identity/workload_answer.h"

struct source_callbacks { /* the arguments are borrowed during the call */
	/* NULL: the credentials have expired. */
	void (*on_credentials)(void *arg, struct credentials *credentials);
	void (*on_event)(void *arg, enum identity_event event, const struct why *why); /* why: NULL on success */
	void *arg;
};

struct source_texts {
	const char *name;      /* "the Workload API" */
	const char *condition; /* "no answer from the Workload API", static */
};

struct source_identity { /* zeroed is valid to source_identity_done() */
	struct loop *loop;
	struct source_callbacks callbacks;
	struct source_texts texts;
	struct trusted_time time;        /* no authenticated time: the system's clock, never before the build date */
	struct credentials *credentials; /* stay after they have expired: the identity in use; NULL: none yet */
	bool is_published;
	struct epoch epoch; /* of `credentials`; counts the answers in use */
	struct why failure; /* of the last try; err ERR_NONE: it succeeded */
};

void source_identity_init(struct source_identity *identity, struct loop *loop, const struct source_callbacks *callbacks,
	const struct source_texts *texts);
void source_identity_done(struct source_identity *identity);
int64_t source_identity_now_s(const struct source_identity *identity);
bool source_identity_is_valid(const struct source_identity *identity); /* there are credentials, which are valid now */
/* What an answer may be for: the trust domain, the wanted identity (NULL: any), and what is in use. Borrowed. */
struct workload_choice source_identity_choice(
	const struct source_identity *identity, const struct trust_domain *own, const char *wanted);
/* Verifies the answer, then publishes it; what was in use stays on an error: those of credentials_new(). */
enum err source_identity_use(struct source_identity *identity, const struct workload_answer *answer,
	bool *out_is_renewal, struct why *why) _must_use_;
/* An outage is logged once as a warning, further tries for debugging. */
void source_identity_failed(struct source_identity *identity, enum identity_event event, const struct why *why);
void source_identity_succeeded(struct source_identity *identity); /* the last try */
/* About once per second: notifies the owner when the identity has expired, or is valid again. */
void source_identity_check_expiry(struct source_identity *identity);
