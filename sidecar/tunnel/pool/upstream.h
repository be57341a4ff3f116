/* An endpoint key, with its tunnels and the attempts that wait for one. Which tunnel a
 * stream gets, and when another is opened, is decided here. Inside this folder only. */
#pragma once

#include "base/core/list.h"
#include "base/core/table.h"
#include "sidecar/tunnel/pool/attempt.h"
#include "sidecar/tunnel/tunnel.h"

struct upstreams; /* the pool's table */

struct upstream {
	struct table_link link; /* in its table */
	struct tunnel_set *set;
	struct upstreams *upstreams;
	struct addr at;
	struct spiffe_id expected;
	struct list tunnels; /* by ->sibling; draining ones too */
	struct list waiting; /* attempts, in order of arrival */
	unsigned num_waiting;
	unsigned num_opening;
	uint32_t stream_limit;    /* of its last tunnel; a guess before the first */
	uint64_t spread_after_ms; /* no tunnel for the sake of bulk before this: the last could not be opened */
};

struct upstreams *upstreams_new(struct tunnel_set *set);
void upstreams_free(struct upstreams *upstreams); /* fails what waits */
struct upstream *upstreams_find(                  /* NULL: no tunnel leads there, and nothing waits for one */
	struct upstreams *upstreams, const struct addr *at, const struct spiffe_id *expected);
struct upstream *upstreams_get(struct upstreams *upstreams, const struct addr *at, const struct spiffe_id *expected);

bool upstream_is_suspect(const struct upstream *upstream);                    /* it has tunnels, and all of them are */
void upstream_add(struct upstream *upstream, struct stream_attempt *attempt); /* and serves */
void upstream_cancel(struct stream_attempt *attempt);
/* How many tunnels so many need, on each of which a peer allows so many (UINT32_MAX: it names no limit). */
unsigned upstream_tunnels_wanted(unsigned num_waiting, uint32_t stream_limit);
void upstream_serve(struct upstream *upstream);
void upstream_on_open(struct tunnel *tunnel);
void upstream_on_closed(struct tunnel *tunnel, const struct why *why);       /* may free the upstream */
void upstreams_fail_all(struct upstreams *upstreams, const struct why *why); /* what waits: STREAM_NO_IDENTITY */
