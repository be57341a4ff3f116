/* One TCP connection to the API server, and the TLS session on it: resolves the name, tries the addresses in turn.
 * Private to base/kube. */
#pragma once

#include "base/core/loop.h"
#include "base/kube/kube_config.h"
#include "base/rpc/transport.h"

struct kube_dial;

/* err ERR_NONE: *transport is adopted by the callee, and its handshake is still to be run. Never within
 * kube_dial_start(); the callee may start the next dial. */
typedef void kube_dial_fn(void *arg, enum err err, struct transport *transport, const struct why *why);

struct kube_dial *kube_dial_new(struct loop *loop, const struct kube_config *config, kube_dial_fn *on_done, void *arg);
void kube_dial_free(struct kube_dial *dial);
void kube_dial_start(struct kube_dial *dial, uint32_t timeout_ms); /* per address; none may be under way */
bool kube_dial_is_under_way(const struct kube_dial *dial);
