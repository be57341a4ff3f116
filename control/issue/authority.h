/* The mesh's certificate authorities as the signer holds them: a bootstrap root (10 years, signs the control plane's
 * own server certificate and nothing else), the mesh's root (1 year) and an intermediate (7 days, replaced by itself
 * when half of its life is over), which signs leaves. Checks every order again: who asks may have been taken over. */
#pragma once

#include "base/core/clock.h"
#include "certs/spiffe_id.h"
#include "control/issue/key_folder.h"

/* What may be written when the folder is opened. */
enum key_policy {
	KEYS_MUST_EXIST,    /* the store knows its authorities: a key that is missing is lost */
	KEYS_MAY_BE_MADE,   /* the first start */
	KEYS_TAKE_ANY_STORE /* they must exist, and an operator says that the store is the right one, whatever its mark
			     */
};

struct authority_options {
	enum key_policy policy;
	const char *folder; /* borrowed */
	struct trust_domain trust_domain;
	int64_t max_leaf_ttl_s, intermediate_life_s, root_life_s;
	const struct clock *clock; /* borrowed */
};

struct authority {
	struct authority_options options;
	struct key_folder folder;
	struct key_pair bootstrap, root, intermediate;
	int64_t retry_s;        /* the next intermediate could not be stored: not tried again before */
	struct store_mark mark; /* of the youngest issuer seen, durable */
};

/* Loads the keys or makes those that were never there. */
enum err authority_open(
	struct authority *authority, const struct authority_options *options, struct why *why) _must_use_;
void authority_done(struct authority *authority);

/* Would this store be taken? Writes nothing. ERR_STATE_DAMAGED: it is another one, or it has gone back in time. */
enum err authority_judge(const struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;
/* An issuer introduces itself; from then on older ones are refused. Errors as authority_judge(). */
enum err authority_begin_epoch(struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;
/* The present issuer's store has come this far. ERR_CONFLICT: another issuer's. */
enum err authority_note(struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;

struct leaf_request {
	uint64_t epoch;
	struct span id;   /* SPIFFE ID, unchecked */
	struct span spki; /* DER, unchecked */
	int64_t ttl_s;    /* clamped to [1, max_leaf_ttl_s] and to the chain */
};
/* A workload's SVID: appends the leaf to *out_leaf; the chain above it is the intermediate. */
enum err authority_sign_leaf(struct authority *authority, const struct leaf_request *order, struct buf *out_leaf,
	struct why *why) _must_use_;
/* The control plane's own server certificate, by the bootstrap root; order->id is ignored. */
enum err authority_sign_control(struct authority *authority, const struct leaf_request *order, struct buf *out_leaf,
	struct why *why) _must_use_;
