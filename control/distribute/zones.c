/* The zone of a sidecar's host, part of the mesh's state of that sidecar. It may become known later than the sidecar;
 * then it stays. */
#include "base/core/check.h"
#include "control/distribute/distribute_private.h"

enum {
	SETTLE_MS = 1000
}; /* a cluster's objects can change very often, and all sidecars without a zone are looked up */

uint32_t zone_gather(struct stream *stream)
{
	stream->zone_sent = registry_host_zone(stream->distributor->registry, &stream->from);
	return stream->zone_sent;
}

static void on_settled(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, zones);
	uint64_t version = 0;
	LIST_EACH(&distributor->streams, struct stream, stream, link) {
		if (stream->zone_sent != 0 || stream->mesh_sent != stream->mesh_wanted ||
			registry_host_zone(distributor->registry, &stream->from) == 0)
			continue;
		policies_renew(stream, &version);
	}
}

void zones_changed(struct distributor *distributor)
{
	if (!loop_timer_is_armed(&distributor->zones))
		loop_timer_start(distributor->loop, &distributor->zones, SETTLE_MS, on_settled);
}
