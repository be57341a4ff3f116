/* Whether an address stands in the services of its identity: a live stream, one that has gone a moment ago, a sidecar
 * that drains. Only what changes here changes the services' answers. */
#include "control/registry/registry_private.h"

/* A sidecar dials again within a second (sidecar/identity/redial.h). A stream that is back in this time has changed no
 * answer: without it, each reconnect of an endpoint would be told twice to every caller of its service. */
enum { LINGER_MS = 3000 };

enum presence registry_presence(const struct place *place)
{
	const struct claim *claim = place->claim;
	if (claim != NULL && claim->has_ended)
		return PRESENCE_ENDED;
	if (place->is_draining)
		return PRESENCE_DRAINING;
	return claim == NULL || claim->num_live > 0 || claim->is_lingering ? PRESENCE_LIVE : PRESENCE_AWAY;
}

void registry_changed(struct registry *registry, const struct ip_addr *ip, const struct spiffe_id *id)
{
	const struct registry_observer *observer = &registry->observer;
	const struct member *member = id == NULL ? NULL : registry_member(registry, id);
	if (observer->on_change == NULL)
		return;
	if (ip != NULL)
		observer->on_change(observer->arg, ip);
	for (const struct place *at = member == NULL ? NULL : member->services; at != NULL; at = at->next_service)
		observer->on_change(observer->arg, &at->ip);
}

void registry_review(struct registry *registry, struct claim *claim)
{
	enum presence now = registry_presence(claim->place);
	if (claim->shown == now)
		return;
	claim->shown = (uint8_t)now;
	registry_changed(registry, NULL, &claim->id);
}

static void linger_ended(struct loop_timer *timer)
{
	struct claim *claim = container_of(timer, struct claim, linger);
	claim->is_lingering = false;
	registry_review(claim->registry, claim);
}

void registry_linger(struct registry *registry, struct claim *claim, uint64_t ms)
{
	claim->is_lingering = true;
	loop_timer_start(registry->loop, &claim->linger, ms, linger_ended);
}

void registry_stream_came(struct registry *registry, struct claim *claim)
{
	claim->num_live++;
	claim->is_lingering = false;
	loop_timer_stop(&claim->linger);
	registry_review(registry, claim);
}

void registry_stream_gone(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip)
{
	struct claim *claim = registry_find(registry, ip);
	if (claim == NULL || claim->num_live == 0 || !spiffe_id_eq(&claim->id, id) || --claim->num_live > 0)
		return;
	if (!claim->place->is_draining)
		registry_linger(registry, claim, LINGER_MS);
	registry_review(registry, claim);
}

void registry_set_draining(
	struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip, bool is_draining)
{
	struct place *place = registry_place(registry, ip);
	if (place == NULL || place->is_draining == is_draining)
		return;
	bool holds = place->claim != NULL && !place->claim->has_ended && spiffe_id_eq(&place->claim->id, id);
	bool is_entry = place->entry != NULL && spiffe_id_eq(&place->entry->identity, id);
	if (!holds && !is_entry)
		return;
	place->is_draining = is_draining;
	if (place->claim != NULL)
		registry_review(registry, place->claim);
	if (is_entry)
		registry_changed(registry, NULL, id);
}
