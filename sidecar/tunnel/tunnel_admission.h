/* Limits of inbound tunnels: handshakes under way, tunnels of one source, tunnels of one identity, and how often a
 * source may begin a handshake (decision 034). Inside this folder only. */
#pragma once

#include "sidecar/tunnel/tunnel.h"

struct tunnel_admission;

struct tunnel_admission *tunnel_admission_new(const struct tunnel_set *set, uint32_t max_handshakes);
void tunnel_admission_free(struct tunnel_admission *admission); /* after its tunnels */

/* A connection was accepted: may its handshake begin? Others may end for it: the oldest handshake of the source with
 * most, an idle tunnel of the same source. On ERR_NONE the tunnel holds its places; tunnel_lost() gives them back. */
enum err tunnel_admission_enter(struct tunnel_admission *admission, struct tunnel *tunnel, struct why *why) _must_use_;
/* The handshake is done: may this identity have one more? */
enum err tunnel_admission_identify(
	struct tunnel_admission *admission, struct tunnel *tunnel, struct why *why) _must_use_;
