/* The record of a partner's trust bundle in the store: what every sidecar trusts of that trust domain, and no other. Of
 * several control planes the one that fetches a newer bundle first writes it. */
#pragma once

#include "certs/bundle.h"
#include "control/federate/bundle_jwks.h"
#include "control/store/store.h"

#define PARTNER_RECORDS_PREFIX "federation/partner/" /* then the trust domain */
#define PARTNER_RECORDS_MAX    32                    /* partners: bounds the trust state, which every sidecar has */
#define PARTNER_RETIRED_MAX    8                     /* roots that left the partner's bundle, the newest first */

struct partner_record { /* zeroed is valid to partner_record_done() */
	struct trust_domain domain;
	struct jwks_bundle live;
	/* Roots that the partner no longer has: connections that they opened go on, nothing new is accepted. */
	struct jwks_bundle retired;
	int64_t changed_s;
};

void partner_record_key(const struct trust_domain *domain, char out[STORE_KEY_MAX]);
/* ERR_LIMIT: longer than a value of the store. */
enum err partner_record_encode(const struct partner_record *record, struct buf *out) _must_use_;
enum err partner_record_parse(
	const char *key, struct span value, struct partner_record *out) _must_use_; /* ERR_MALFORMED */
void partner_record_done(struct partner_record *record);
/* Judges the roots as certificates: errors as bundle_new(). */
enum err partner_record_bundle(const struct partner_record *record, struct bundle **out, struct why *why) _must_use_;
/* `fresh` replaces what the record has as live; roots that it lacks become retired. */
void partner_record_update(struct partner_record *record, struct jwks_bundle *fresh); /* *fresh is taken */
bool partner_record_has_same_content(const struct partner_record *record, const struct jwks_bundle *bundle);

/* Damaged records are left out, and logged. The record is borrowed. */
typedef void partner_record_fn(void *arg, const struct partner_record *record);
void partner_records_list(const struct store *store, partner_record_fn *each, void *arg);
