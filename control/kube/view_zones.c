/* The zones of nodes. EndpointSlices name the zone of each endpoint, so that no node needs to be watched, for which the
 * control plane has no permission. */
#include "base/core/check.h"
#include "base/core/mem.h"
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

/* --- the zone of a node is what most of its pods have, each by a slice of its own namespace (K41) --- */

static struct zone_vote *vote_find(const struct place *node, uint32_t zone)
{
	for (unsigned i = 0; i < node->num_votes; i++)
		if (node->votes[i].num > 0 && node->votes[i].zone == zone)
			return &node->votes[i];
	return NULL;
}

/* No more than the node has pods. */
static struct zone_vote *vote_make(struct place *node, uint32_t zone)
{
	unsigned at = 0;
	while (at < node->num_votes && node->votes[at].num > 0)
		at++;
	if (at == node->num_votes)
		node->votes = mem_realloc(node->votes, ++node->num_votes * sizeof(*node->votes));
	node->votes[at] = (struct zone_vote){.zone = zone};
	return &node->votes[at];
}

static void vote(struct pod *pod, uint32_t zone)
{
	pod->zone = zone;
	for (unsigned i = 0; i < pod->num_hosts; i++) {
		struct zone_vote *found = vote_find(pod->hosts[i], zone);
		if (found == NULL)
			found = vote_make(pod->hosts[i], zone);
		found->num++;
	}
}

void zone_drop_vote(struct pod *pod)
{
	for (unsigned i = 0; i < pod->num_hosts && pod->zone != 0; i++) {
		struct zone_vote *found = vote_find(pod->hosts[i], pod->zone);
		CHECK(found != NULL);
		found->num--;
	}
	pod->zone = 0;
}

/* Another one needs more votes than the present one: each change is a message to sidecars there. */
static void node_settle(struct kube_view *view, struct place *node)
{
	const struct zone_vote *present = vote_find(node, node->zone);
	unsigned most = present == NULL ? 0 : present->num;
	uint32_t zone = node->zone;
	for (unsigned i = 0; i < node->num_votes; i++)
		if (node->votes[i].num > most) {
			most = node->votes[i].num;
			zone = node->votes[i].zone;
		}
	if (zone == node->zone)
		return;
	node->zone = zone;
	if (view->is_synced)
		view->observer.on_change(view->observer.arg, &node->ip);
}

static void hosts_settle(struct kube_view *view, const struct pod *pod)
{
	for (unsigned i = 0; i < pod->num_hosts; i++)
		node_settle(view, pod->hosts[i]);
}

void zone_pod_gone(struct kube_view *view, struct pod *pod)
{
	if (pod->zone == 0)
		return;
	zone_drop_vote(pod);
	hosts_settle(view, pod);
}

void zone_host_gone(struct place *node)
{
	node->zone = 0; /* the next node with this address may be elsewhere */
	mem_free(node->votes);
	node->votes = NULL;
	node->num_votes = 0;
}

static bool is_at_host(const struct pod *pod, const struct place *place)
{
	for (unsigned i = 0; i < pod->num_hosts; i++)
		if (pod->hosts[i] == place)
			return true;
	return false;
}

/* Who may write slices in one namespace has no vote for the pods of another. */
static bool is_own(const struct endpoint *endpoint, const struct pod *pod)
{
	return endpoint->slice->share == pod->account->share &&
	       (pod->is_host_network ? is_at_host(pod, endpoint->place) : place_owner(endpoint->place) == pod);
}

void zone_note(struct kube_view *view, const struct endpoint *endpoint)
{
	struct pod *pod = endpoint->zone == 0 || endpoint->uid_hash == 0 ? NULL : pod_by_hash(view, endpoint->uid_hash);
	if (pod == NULL || pod->zone == endpoint->zone || !is_own(endpoint, pod))
		return;
	zone_drop_vote(pod);
	vote(pod, endpoint->zone);
	hosts_settle(view, pod);
}

void zone_note_pod(struct kube_view *view, struct pod *pod)
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
