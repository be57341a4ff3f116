/* Where tunnels lead: an address and who must be there; its tunnels, and the attempts that wait for one. Which tunnel a
 * stream gets, and when another is opened, is decided here. Inside this folder only. */
#pragma once

#include "sidecar/tunnel/attempt.h"
#include "sidecar/tunnel/tunnel.h"

struct destinations; /* the pool's table */

struct destination {
	struct destination *next; /* in its bucket */
	struct tunnel_set *set;
	struct destinations *table;
	struct addr at;
	struct spiffe_id expected;
	struct tunnel *tunnels; /* by ->sibling; draining ones too */
	struct stream_attempt *waiting, **waiting_tail;
	unsigned num_waiting;
	unsigned num_opening;
	uint32_t stream_limit;    /* of its last tunnel; a guess before the first */
	uint64_t spread_after_ms; /* no tunnel for a hog's sake before this: the last could not be opened */
};

struct destinations *destinations_new(struct tunnel_set *set);
void destinations_free(struct destinations *table); /* fails what waits */
struct destination *destinations_find(              /* NULL: no tunnel leads there, and nothing waits for one */
	struct destinations *table, const struct addr *at, const struct spiffe_id *expected);
struct destination *destinations_take(
	struct destinations *table, const struct addr *at, const struct spiffe_id *expected);

bool destination_is_suspect(const struct destination *destination); /* it has tunnels, and all of them are */
void destination_add(struct destination *destination, struct stream_attempt *attempt); /* and serves */
void destination_cancel(struct stream_attempt *attempt);
/* How many tunnels so many need, on each of which a peer allows so many (UINT32_MAX: it names no limit). */
unsigned destination_tunnels_wanted(unsigned num_waiting, uint32_t stream_limit);
void destination_serve(struct destination *destination);
void destination_on_open(struct tunnel *tunnel);
void destination_on_gone(struct tunnel *tunnel, const struct why *why); /* may free the destination */
void destination_fail_waiting(
	struct destination *destination, enum stream_verdict verdict, bool by_peer, const struct why *why);
void destinations_fail_all(struct destinations *table, enum stream_verdict verdict, const struct why *why);
