/* Which attestation key bought the certificate with this key: so that a connection that shows an SVID can be led back
 * to an attestation, and to what the sidecar of that attestation can do. Follows the holders in the store; knows the
 * last two leaf keys of each. */
#pragma once

#include "certs/digest.h"
#include "control/store/store.h"

struct leaf_owners;

struct leaf_owner {
	uint8_t key_hash[DIGEST_LEN]; /* of the attestation key */
	bool proves_claims;           /* its sidecar can: without a proof a claim is not its own */
};

struct leaf_owners *leaf_owners_new(struct store *store);
void leaf_owners_free(struct leaf_owners *owners);
/* leaf_key_hash: SHA-256 of the SubjectPublicKeyInfo. False: no attestation bought it. */
bool leaf_owners_find(
	const struct leaf_owners *owners, const uint8_t leaf_key_hash[DIGEST_LEN], struct leaf_owner *out);
