/* What this process has asked about: destinations, and the newest answer to each, kept when the stream is gone. Pure.
 */
#pragma once

#include "sidecar/route/endpoint.h"

struct subscription_set;

struct subscription_set *subscription_set_new(size_t max);
void subscription_set_free(struct subscription_set *set);
size_t subscription_set_num(const struct subscription_set *set);

/* True: it is new and has to be asked. *out_dropped (family 0: none) is what had to go to make room. */
bool subscription_set_ask(struct subscription_set *set, const struct addr *destination, struct addr *out_dropped);
/* True: wanted, and newer than what is known; a reference is kept. */
bool subscription_set_take(struct subscription_set *set, struct answer *answer);
/* The newest answer; borrowed, NULL: none yet. */
struct answer *subscription_set_known(struct subscription_set *set, const struct addr *destination);
/* A new stream: whatever its first answers are numbered, they are newer. Known answers stay until then. */
void subscription_set_restart(struct subscription_set *set);
typedef void subscription_each_fn(void *arg, const struct addr *destination);
void subscription_set_each(const struct subscription_set *set, subscription_each_fn *each, void *arg);
