/* A revocation list that a signer of this mesh has made of one of its authorities, as a record of the store, so that
 * every sidecar has those of all control planes (trust.h). Pure but for the listing. */
#pragma once

#include "base/core/buf.h"
#include "certs/digest.h"
#include "control/store/store.h"

#define OWN_LIST_PREFIX     "crl/" /* then the hexadecimal SHA-256 of the authority's certificate */
#define OWN_LIST_KEY_MAX    (sizeof OWN_LIST_PREFIX + 2 * DIGEST_LEN)
#define OWN_LIST_SERIAL_MAX 20 /* bytes */
#define OWN_LISTS_MAX       40 /* of a mesh: a control plane that starts again and again must not fill the trust state */
#define OWN_LIST_DER_MAX    (24u * 1024)
#define OWN_LIST_RECORD_MAX (36u * 1024)

struct own_list { /* zeroed is valid to own_list_done() */
	uint8_t authority[DIGEST_LEN];
	uint8_t serial[OWN_LIST_SERIAL_MAX]; /* of the authority's certificate */
	size_t serial_len;
	int64_t authority_ends_s; /* notAfter of that certificate; 0: a record of before has none */
	uint64_t number;
	int64_t made_s, ends_s;      /* since 1970; its nextUpdate */
	uint8_t content[DIGEST_LEN]; /* hash of the entries */
	struct buf der;
};
void own_list_done(struct own_list *list);
void own_list_key(const uint8_t authority[DIGEST_LEN], char out[OWN_LIST_KEY_MAX]);
enum err own_list_encode(const struct own_list *list, struct buf *out) _must_use_; /* ERR_LIMIT */
/* ERR_MALFORMED: not written by this program. */
enum err own_list_parse(struct span record, struct own_list *out) _must_use_;
typedef void own_list_fn(void *arg, const struct own_list *list, uint64_t version); /* borrowed */
void own_lists_each(const struct store *store, own_list_fn *each, void *arg);
