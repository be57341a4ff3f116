/* Who may be at the other end of a tunnel, whether the tunnel may take a stream now, and whether it may stand at all. A
 * tunnel never outlives the identities that opened it, except for the streams already on it. Inside this folder only.
 */
#pragma once

#include "sidecar/tunnel/tunnel.h"

/* The handshake's question: the peer's chain, under the set's credentials. */
enum err admission_verify(struct tunnel *tunnel, const struct span *chain, size_t num_chain, struct svid **out_svid,
	struct why *why) _must_use_;
/* Are both chains of the tunnel valid now: not expired, and good under the trust of now? ERR_UNAVAILABLE: it is us who
 * have no valid identity. */
enum err admission_check(struct tunnel *tunnel, struct why *why) _must_use_;
