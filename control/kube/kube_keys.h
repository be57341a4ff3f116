/* The API server's issuer and key set, for tokens while it does not answer reviews: fetched at the start, every 10
 * minutes, and on an unknown kid, at most once per 10 s (a stranger makes up kids). What was fetched last stays in
 * force while the API server is away, in memory alone: a control plane that starts without the API server knows no pods
 * either, so stored keys would attest none. */
#pragma once

#include "base/kube/kube_client.h"
#include "control/kube/jwt.h"

#define KUBE_KEYS_EACH_MS  600000
#define KUBE_KEYS_LEAST_MS 10000 /* between two fetches */

struct kube_keys;
struct kube_keys *kube_keys_new(struct loop *loop, struct kube_client *client); /* borrowed; fetches at once */
void kube_keys_free(struct kube_keys *keys);

/* Signature, issuer and times; the audience is the caller's. ERR_UNAVAILABLE: its key is not known, and a fetch is
 * under way or becomes due; ask again. Final: ERR_DENIED, ERR_CRYPTO, ERR_EXPIRED, ERR_NOT_YET_VALID. */
enum err kube_keys_check(struct kube_keys *keys, const struct jwt *jwt, struct why *why) _must_use_;
