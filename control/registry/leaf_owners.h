/* Maps the key of a leaf certificate to the attestation key that obtained it, and so a connection's SVID to its
 * attestation and to the features of that sidecar. Follows the SVID holders in the store; has the last two leaf keys of
 * each. */
#pragma once

#include "certs/digest.h"
#include "control/store/store.h"

struct leaf_owners;

struct leaf_owner {
	uint8_t key_hash[DIGEST_LEN]; /* of the attestation key */
	bool proves_claims;           /* its sidecar supports proofs: a claim without one is not from it */
};

struct leaf_owners *leaf_owners_new(struct store *store);
void leaf_owners_free(struct leaf_owners *owners);
/* leaf_key_hash: SHA-256 of the SubjectPublicKeyInfo. False: no attestation obtained it. */
bool leaf_owners_find(
	const struct leaf_owners *owners, const uint8_t leaf_key_hash[DIGEST_LEN], struct leaf_owner *out);
