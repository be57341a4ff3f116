/* SVID holders: one durable record per attestation key, found by the key's SHA-256. And the bans of identities. Reads
 * come from the store; changes are its compare-and-swaps. */
#pragma once

#include "certs/bundle.h"
#include "certs/digest.h"
#include "certs/spiffe_id.h"
#include "control/store/store.h"

#define SVID_HOLDER_ROOT_LEN 8 /* bytes of the root's SHA-256 */

/* What its attestation key needs beside it. A record of an entry's attests nothing alone. */
enum svid_holder_by { SVID_HOLDER_BY_TOKEN, SVID_HOLDER_BY_X509, SVID_HOLDER_BY_UNIX };

struct svid_holder { /* zeroed is valid to svid_holder_done() */
	uint8_t key_hash[DIGEST_LEN];
	struct spiffe_id id;
	int64_t since_s;
	enum svid_holder_by by;
	/* of the last SVID; serial_len 0: none yet */
	int64_t not_after_s;
	uint8_t serial[20];
	uint8_t serial_len;
	uint8_t leaf_key_hash[DIGEST_LEN];
	uint8_t root_tag[SVID_HOLDER_ROOT_LEN]; /* of the root above the last SVID; zero: not known */
	bool proves_claims;                     /* the sidecar that requested it proves its claims of addresses */
	uint64_t version;                       /* of the record */
};
void svid_holder_done(struct svid_holder *svid_holder);

#define SVID_HOLDERS_PREFIX "holder/"
bool svid_holders_key_parse(const char *key, uint8_t out_key_hash[DIGEST_LEN]); /* of the store */
enum err svid_holders_find(const struct store *store, const uint8_t key_hash[DIGEST_LEN],
	struct svid_holder *out) _must_use_; /* ERR_NOT_FOUND, ERR_STATE_DAMAGED */
/* Writes it (version 0: a new one). on_done as store_swap(). */
enum err svid_holders_put(
	struct store *store, const struct svid_holder *svid_holder, store_done_fn *on_done, void *arg) _must_use_;
typedef void svid_holders_list_fn(void *arg, const struct svid_holder *svid_holder);
void svid_holders_list(const struct store *store, svid_holders_list_fn *on_svid_holder, void *arg);

/* The last trust state that a sidecar has confirmed. Kept beside its record, which renewals write. */
void svid_holders_put_ack(struct store *store, const uint8_t key_hash[DIGEST_LEN], const struct epoch *acked);
struct epoch svid_holders_ack(const struct store *store, const uint8_t key_hash[DIGEST_LEN]); /* zero: none */

/* Removes up to `max` SVID holders whose last certificate expired (or, without one, whose record was made) before
 * `before_s`: their keys no longer attest. Those of an entry go when it has expired before now_s: they prove themselves
 * anew. Returns how many. */
unsigned svid_holders_prune(struct store *store, int64_t before_s, int64_t now_s, unsigned max);

bool svid_holders_is_banned(const struct store *store, const struct spiffe_id *id);
/* ERR_CONFLICT: it was already banned. */
void svid_holders_ban(
	struct store *store, const struct spiffe_id *id, int64_t since_s, store_done_fn *on_done, void *arg);
/* Only an operator lifts a ban. ERR_NOT_FOUND at once: it is not banned; else on_done as store_swap(). */
enum err svid_holders_unban(
	struct store *store, const struct spiffe_id *id, store_done_fn *on_done, void *arg) _must_use_;
typedef void svid_holders_ban_fn(void *arg, struct span id, int64_t since_s); /* 0: not known */
void svid_holders_list_bans(const struct store *store, svid_holders_ban_fn *on_ban, void *arg);
#define SVID_HOLDERS_BAN_PREFIX "ban/"
