/* Which identity may be at the other end of a tunnel, whether the tunnel may take a stream now, and whether it may stay
 * open. A tunnel never outlives the identities that opened it, except for the streams already on it. Inside this folder
 * only.
 */
#pragma once

#include "sidecar/tunnel/tunnel.h"

/* For the handshake: verifies the peer's chain with the set's credentials. */
enum err admission_verify(struct tunnel *tunnel, const struct span *chain, size_t num_chain, struct svid **out_svid,
	struct why *why) _must_use_;
/* Are both chains of the tunnel valid now: not expired, and trusted by the current bundles? ERR_UNAVAILABLE: this
 * sidecar has no valid identity. */
enum err admission_check(struct tunnel *tunnel, struct why *why) _must_use_;
