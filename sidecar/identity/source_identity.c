#include "sidecar/identity/source_identity.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/random.h"
#include <string.h>

#define COMPONENT "identity"

void source_identity_init(struct source_identity *identity, struct loop *loop, const struct source_callbacks *callbacks,
	const struct source_texts *texts)
{
	*identity = (struct source_identity){.loop = loop, .callbacks = *callbacks, .texts = *texts};
	identity->epoch.incarnation = random_u64() | 1;
}

void source_identity_done(struct source_identity *identity)
{
	credentials_unref(identity->credentials);
	identity->credentials = NULL;
}

int64_t source_identity_now_s(const struct source_identity *identity)
{
	return trusted_time_now_s(&identity->time, loop_clock(identity->loop));
}

bool source_identity_is_valid(const struct source_identity *identity)
{
	return identity->credentials != NULL &&
	       credentials_are_valid(identity->credentials, source_identity_now_s(identity));
}

struct workload_choice source_identity_choice(
	const struct source_identity *identity, const struct trust_domain *own, const char *wanted)
{
	const struct credentials *present = identity->credentials;
	return (struct workload_choice){
		.own = own,
		.wanted = wanted,
		.present = present != NULL ? credentials_id(present) : NULL,
		.bundles = present != NULL ? credentials_bundles(present) : NULL,
		.now_s = source_identity_now_s(identity),
	};
}

/* --- an answer --- */

static void publish(struct source_identity *identity, struct credentials *fresh)
{
	struct credentials *before = identity->credentials;
	CHECK(fresh != NULL && fresh != before);
	identity->credentials = fresh;
	identity->is_published = true;
	identity->callbacks.on_credentials(identity->callbacks.arg, fresh);
	credentials_unref(before);
}

static void report(struct source_identity *identity, const struct workload_answer *answer, bool is_renewal)
{
	if (answer->num_skipped > 0) {
		struct why why = answer->skipped;
		why_set(&why, why.err, why.expected, why.fix, "left out a root or a bundle of %s: %s",
			identity->texts.name, answer->skipped.got);
		log_why(LOG_LEVEL_WARNING, COMPONENT, "not all of the trust is usable", &why);
	}
	if (!is_renewal)
		return;
	log_notice(COMPONENT, "received an SVID for %s from %s, valid for %lld s", svid_id(answer->svid)->text,
		identity->texts.name,
		(long long)(credentials_until_s(identity->credentials) - source_identity_now_s(identity)));
	identity->callbacks.on_event(identity->callbacks.arg, IDENTITY_RENEWED, NULL);
}

enum err source_identity_use(
	struct source_identity *identity, const struct workload_answer *answer, bool *out_is_renewal, struct why *why)
{
	struct credentials *fresh;
	struct epoch next = {identity->epoch.incarnation, identity->epoch.counter + 1};
	RETURN_IF_ERR(credentials_new(
		answer->svid, answer->key, answer->bundles, next, source_identity_now_s(identity), &fresh, why));
	bool is_renewal =
		identity->credentials == NULL || !svid_eq(credentials_svid(identity->credentials), answer->svid);
	identity->epoch = next;
	publish(identity, fresh);
	report(identity, answer, is_renewal);
	*out_is_renewal = is_renewal;
	return ERR_NONE;
}

void source_identity_failed(struct source_identity *identity, enum identity_event event, const struct why *why)
{
	bool is_new = identity->failure.err != why->err || strcmp(identity->failure.got, why->got) != 0;
	identity->failure = *why;
	log_why(is_new ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, COMPONENT,
		event == IDENTITY_SOURCE_LOST ? "no answer that gives the identity now; trying again"
					      : "refused an identity that was sent",
		why);
	identity->callbacks.on_event(identity->callbacks.arg, event, why);
}

void source_identity_succeeded(struct source_identity *identity)
{
	identity->failure = (struct why){0};
}

/* --- expiry --- */

void source_identity_check_expiry(struct source_identity *identity)
{
	bool is_valid = source_identity_is_valid(identity);
	CHECK(!identity->is_published || identity->credentials != NULL);
	if (is_valid == identity->is_published)
		return;
	identity->is_published = is_valid;
	if (is_valid)
		log_notice(COMPONENT, "the SVID of %s is valid again after a change of the clock",
			credentials_id(identity->credentials)->text);
	else
		log_error(COMPONENT,
			"the SVID of %s has expired: no new tunnel and no new stream until %s has a new one",
			credentials_id(identity->credentials)->text, identity->texts.name);
	identity->callbacks.on_credentials(identity->callbacks.arg, is_valid ? identity->credentials : NULL);
}
