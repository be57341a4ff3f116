/* The engine of the store for several control planes outside Kubernetes: etcd (v3 API, 3.4 or later), one key per
 * record. Compare-and-swap by ModRevision, and one watch keeps the content in memory.
 *
 * A change that was answered is durable in a majority of etcd's members. A change whose answer was lost is sent again,
 * and found by the writer's mark if it had happened; after 3 seconds without a majority the answer is ERR_IO (from then
 * on sooner), and the change may or may not have happened. Reads go on from memory.
 *
 * Another etcd than before (cluster id), or one that was restored from a backup while this process runs (a revision
 * goes back), is not used: the members are tried for ever, and changes fail. */
#pragma once

#include "control/store/etcd/etcd_link.h"
#include "control/store/store.h"

#define ETCD_PREFIX_MAX 256 /* bytes */

struct store_etcd_options {
	struct loop *loop;
	const struct etcd_members *members; /* borrowed until store_close() */
	const char *prefix;                 /* of all keys; printable, not empty; copied */
	bool takes_any;                     /* an operator's word: also an etcd with another cluster id */
};

/* Reads all records; runs the loop until they are there, at most 30 seconds. Makes the incarnation if there is none.
 * ERR_UNAVAILABLE; ERR_STATE_DAMAGED: these records belong to another etcd. Others as of a TLS handshake. */
enum err store_open_etcd(const struct store_etcd_options *options, struct store **out, struct why *why) _must_use_;
