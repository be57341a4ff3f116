/* The zone of a sidecar's host, part of the mesh's state of that sidecar. It may become known later than the sidecar;
 * then it stays. A pass over all sidecars, after a change, is done in slices. */
#include "base/core/check.h"
#include "control/distribute/distribute_private.h"

enum {
	SETTLE_MS = 1000,  /* a cluster's objects can change very often */
	SLICE_ZONES = 512, /* sidecars, the most of one round: well below a millisecond */
};

uint32_t zone_gather(struct stream *stream)
{
	stream->zone_sent = registry_host_zone(stream->distributor->registry, &stream->from);
	return stream->zone_sent;
}

static bool is_news(const struct stream *stream)
{
	return stream->zone_sent == 0 && stream->mesh_sent == stream->mesh_wanted &&
	       registry_host_zone(stream->distributor->registry, &stream->from) != 0;
}

static void find_slice(struct distributor *distributor)
{
	uint64_t version = 0;
	for (unsigned num = 0; num < SLICE_ZONES && distributor->next_zone != NULL; num++) {
		struct stream *stream = distributor->next_zone;
		distributor->next_zone = LIST_NEXT(&distributor->streams, stream, link);
		if (is_news(stream))
			policies_renew(stream, &version);
	}
}

static void on_settled(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, zones);
	if (distributor->next_zone == NULL) { /* a pass begins */
		distributor->has_new_zones = false;
		distributor->next_zone = LIST_FIRST(&distributor->streams, struct stream, link);
	}
	find_slice(distributor);
	if (distributor->next_zone != NULL)
		loop_timer_start(distributor->loop, timer, 0, on_settled);
	else if (distributor->has_new_zones)
		loop_timer_start(distributor->loop, timer, SETTLE_MS, on_settled);
}

void zones_changed(struct distributor *distributor)
{
	distributor->has_new_zones = true;
	if (!loop_timer_is_armed(&distributor->zones))
		loop_timer_start(distributor->loop, &distributor->zones, SETTLE_MS, on_settled);
}

void zones_stop(struct stream *stream)
{
	struct distributor *distributor = stream->distributor;
	if (distributor->next_zone == stream)
		distributor->next_zone = LIST_NEXT(&distributor->streams, stream, link);
}
