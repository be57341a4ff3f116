/* The zones of nodes. EndpointSlices name the zone of each endpoint, so that no node needs to be watched, for which the
 * control plane has no permission. */
#include "base/core/check.h"
#include "base/core/zone.h"
#include "control/kube/view_private.h"

_Static_assert(KUBE_ENDPOINT_ZONES_MAX <= RESOLUTION_ZONES_MAX, "each zone of an endpoint has its place in an answer");

void zones_of(const struct kube_endpoint *from, struct endpoint *out)
{
	size_t num = 0;
	out->zone = zone_of(span_of_str(from->zone));
	for (size_t i = 0; i < from->num_for_zones; i++)
		if (from->for_zones[i][0] != '\0')
			out->zones[num++] = zone_of(span_of_str(from->for_zones[i]));
	if (num == 0)
		out->zones[0] = out->zone;
}

/* The first one stays: a node does not move, and an account that may write slices cannot make its zone change again
 * and again, of which each time is a message to all sidecars there. */
static void node_note(struct kube_view *view, struct place *node, uint32_t zone)
{
	if (node->zone != 0)
		return;
	node->zone = zone;
	if (view->is_synced)
		view->observer.on_change(view->observer.arg, &node->ip);
}

void zone_note(struct kube_view *view, const struct endpoint *endpoint)
{
	const struct pod *pod =
		endpoint->zone == 0 || endpoint->uid_hash == 0 ? NULL : pod_by_hash(view, endpoint->uid_hash);
	for (unsigned i = 0; pod != NULL && i < pod->num_hosts; i++)
		node_note(view, pod->hosts[i], endpoint->zone);
}

void zone_note_pod(struct kube_view *view, const struct pod *pod)
{
	for (unsigned i = 0; i < pod->num_addresses; i++)
		LIST_EACH(&pod->addresses[i].place->endpoints, const struct endpoint, endpoint, of_place)
			zone_note(view, endpoint);
}

uint32_t kube_view_zone(void *arg, const struct ip_addr *ip)
{
	const struct kube_view *view = arg;
	const struct place *place = place_find(view, ip);
	const struct pod *owner = place == NULL ? NULL : place_owner(place);
	if (owner != NULL)
		return owner->num_hosts == 0 ? 0 : owner->hosts[0]->zone;
	return place == NULL ? 0 : place->zone;
}
