/* The destinations that this process is subscribed to, with the newest answer to each; they outlive the stream. Pure.
 */
#pragma once

#include "sidecar/route/endpoint.h"

struct subscription_set;

struct subscription_set *subscription_set_new(size_t max);
void subscription_set_free(struct subscription_set *set);
size_t subscription_set_num(const struct subscription_set *set);

/* True: the destination is new, and the caller sends the subscription. *out_dropped: the subscription that was removed
 * to make room; family 0: none. */
bool subscription_set_add(struct subscription_set *set, const struct addr *destination, struct addr *out_dropped);
/* True: the destination is subscribed and the answer is newer than the last; the set then keeps a reference, and has
 * chosen the endpoint of an answer with affinity. No other thread has the answer yet. */
bool subscription_set_update(struct subscription_set *set, struct answer *answer);
/* The newest answer; borrowed, NULL: none yet. */
struct answer *subscription_set_find(struct subscription_set *set, const struct addr *destination);
/* A new stream begins: its first answers count as newer, whatever their versions. Known answers stay until then. */
void subscription_set_restart(struct subscription_set *set);
/* The answers, that of the destination used last first. False: enough. */
typedef bool subscription_answer_fn(void *arg, const struct answer *answer);
void subscription_set_each_answer(const struct subscription_set *set, subscription_answer_fn *each, void *arg);
typedef void subscription_each_fn(
	void *arg, const struct addr *destination, const struct answer *known); /* NULL: none */
void subscription_set_each(const struct subscription_set *set, subscription_each_fn *each, void *arg);
