/* The mesh's certificate authorities in the signer: a bootstrap root (10 years, signs the control plane's own server
 * certificate and nothing else), the mesh's root (1 year) and an intermediate (7 days, replaced automatically at half
 * of its lifetime), which signs leaves. Checks every request again: the network process may be compromised. */
#pragma once

#include "base/core/clock.h"
#include "certs/spiffe_id.h"
#include "control/issue/key_folder.h"

/* Which keys may be made when the folder is opened. */
enum key_policy {
	KEYS_MUST_EXIST,    /* the store has recorded its authorities: a missing key is lost */
	KEYS_MAY_BE_MADE,   /* the first start */
	KEYS_TAKE_ANY_STORE /* they must exist, and an operator has confirmed the store, whatever its mark
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
	int64_t retry_s;        /* after a failure to store the next intermediate: not tried again before this time */
	struct store_mark mark; /* of the newest issuer, durable */
};

/* Loads the keys, or makes those that have never existed. */
enum err authority_open(
	struct authority *authority, const struct authority_options *options, struct why *why) _must_use_;
void authority_done(struct authority *authority);

/* Whether this store would be accepted. Writes nothing. ERR_STATE_DAMAGED: it is another store or an older copy. */
enum err authority_judge(const struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;
/* Introduces an issuer; from then on older ones are refused. Errors as authority_judge(). */
enum err authority_begin_epoch(struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;
/* Records the revision of the present issuer's store. ERR_CONFLICT: not from the present issuer. */
enum err authority_note(struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;

struct leaf_request {
	uint64_t epoch;
	struct span id;   /* SPIFFE ID, unchecked */
	struct span spki; /* DER, unchecked */
	int64_t ttl_s;    /* clamped to [1, max_leaf_ttl_s] and to the chain */
};
/* A workload's SVID: appends the leaf to *out_leaf; the chain above it is the intermediate. */
enum err authority_sign_leaf(struct authority *authority, const struct leaf_request *request, struct buf *out_leaf,
	struct why *why) _must_use_;
/* The control plane's own server certificate, by the bootstrap root; request->id is ignored. */
enum err authority_sign_control(struct authority *authority, const struct leaf_request *request, struct buf *out_leaf,
	struct why *why) _must_use_;
