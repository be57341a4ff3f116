/* From a request to an SVID: attest, issue, record the SVID durably (if the disk is full, an SVID holder that is on
 * record gets its SVID without that), then answer. Uses no messages and no connections. */
#pragma once

#include "control/attest/attest.h"
#include "control/issue/issuer.h"
#include "control/rotate/rotation.h"

struct granter;

struct granter_options {
	struct loop *loop;
	struct store *store;
	struct attest *attest;
	struct issuer *issuer;
	struct rotation *rotation;
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
/* The caller is closed: on_done is not called, and no further step begins. */
void grant_abandon(struct grant *grant);

/* SVIDs that were issued without a record because the disk refused it, and when the last of them expires. */
uint64_t granter_num_unrecorded(const struct granter *granter, int64_t *out_until_s);

/* See admission.h: whether more requests can be served soon, and one that has come; and the retry delay for a refused
 * one. */
bool granter_has_room(const struct granter *granter, unsigned num_coming, bool is_patient);
bool granter_is_full(const struct granter *granter);
uint32_t granter_retry_ms(struct granter *granter);
