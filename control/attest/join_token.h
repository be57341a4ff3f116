/* Join tokens: a secret that enrolls one attestation key for one identity, once. The line that an operator takes to a
 * workload is `hf1.<id>.<secret>.<SHA-256 of the bootstrap root>`, all base64url; the store has only a hash of the
 * secret. Pure: records in, records out. */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"
#include "certs/digest.h"
#include "certs/spiffe_id.h"

#define JOIN_TOKEN_ID_LEN       16
#define JOIN_TOKEN_SECRET_LEN   32
#define JOIN_TOKEN_NETWORKS_MAX 16
#define JOIN_TOKEN_LINE_MAX     256
#define JOIN_TOKEN_TTL_MAX_S    (30 * 86400)

struct join_token {          /* as stored; zeroed is valid to join_token_done() */
	struct spiffe_id id; /* the identity that it enrolls */
	uint8_t secret_hash[DIGEST_LEN];
	int64_t not_before_s, not_after_s;
	struct network networks[JOIN_TOKEN_NETWORKS_MAX];
	size_t num_networks;     /* 0: no restriction */
	bool has_bootstrap_hash; /* false: made by an earlier release */
	uint8_t bootstrap_hash[DIGEST_LEN];
	bool is_bound;
	uint8_t key_hash[DIGEST_LEN]; /* the attestation key that used it */
};
void join_token_done(struct join_token *token);

enum err join_token_encode(const struct join_token *token, struct buf *out) _must_use_;
enum err join_token_parse(struct span record, struct join_token *out) _must_use_; /* ERR_STATE_DAMAGED */
enum err join_token_line(
	struct span id, struct span secret, const uint8_t bootstrap_hash[DIGEST_LEN], struct buf *out) _must_use_;

struct join_token_use {
	struct span secret;
	const uint8_t *key_hash; /* of the attestation key, DIGEST_LEN */
	struct ip_addr source;
	int64_t now_s;
};
/* Whether this use is allowed. ERR_NONE with *out_binds: the token is still free and must be bound to the key first.
 * ERR_DENIED for a wrong secret and for a second key alike, ERR_EXPIRED, ERR_NOT_YET_VALID. A bound token serves its
 * own key also after it expires: the key could have attested without it. */
enum err join_token_check(
	const struct join_token *token, const struct join_token_use *use, bool *out_binds, struct why *why) _must_use_;
