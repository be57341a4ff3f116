/* Seals a secret with a key that is derived from a private key, so that the store can carry the key of a new root from
 * one signer to the others. AES-256-GCM (RFC 5116) with a key from HKDF-SHA256 (RFC 5869). Pure. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

/* context: what the secret belongs to; the same bytes must be given to open it. Errors: ERR_LIMIT of out, ERR_CRYPTO.
 */
enum err seal_make(
	const struct private_key *by, struct span context, struct span secret, struct buf *out_sealed) _must_use_;
/* ERR_STATE_DAMAGED: sealed by another key, for another context, or changed. The caller wipes the secret. */
enum err seal_open(const struct private_key *by, struct span context, struct span sealed, struct buf *out_secret,
	struct why *why) _must_use_;
