/* From a request to an SVID: attest, issue, remember durably what was issued (as far as the disk allows it for a holder
 * that is on record), then answer. Knows no message and no
 * connection. */
#pragma once

#include "control/attest/attest.h"
#include "control/issue/issuer.h"

struct granter;

struct granter_options {
	struct loop *loop;
	struct store *store;
	struct attest *attest;
	struct issuer *issuer;
	int64_t leaf_ttl_s;
};
struct granter *granter_new(const struct granter_options *options);
void granter_free(struct granter *granter);
void granter_set_leaf_ttl(struct granter *granter, int64_t leaf_ttl_s);

struct granted {                               /* borrowed during the callback */
	const struct svid_holder *svid_holder; /* serial and not_after_s are those of the new SVID */
	struct span chain[ISSUER_CHAIN_MAX];
	size_t num_chain;
};
/* Errors as attest_check() and issuer_issue(). Called once, later. */
typedef void grant_done_fn(void *arg, enum err err, const struct granted *granted, const struct why *why);
/* The result is valid until on_done is called. */
struct grant;
struct grant *grant_start(
	struct granter *granter, const struct attest_request *request, grant_done_fn *on_done, void *arg);
/* The caller has gone: on_done is not called, and no step that has not begun is taken for it. */
void grant_abandon(struct grant *grant);

/* SVIDs that were handed out although the disk refused to record them, and until when the last of them lives. */
uint64_t granter_num_unrecorded(const struct granter *granter, int64_t *out_until_s);

/* See admission.h: whether one more request is answered soon; and when to come back, for one that is refused. */
bool granter_has_room(const struct granter *granter);
uint32_t granter_retry_ms(struct granter *granter);
