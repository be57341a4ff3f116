/* Whether an address is an endpoint of its identity's services: it has a live stream, had one a moment ago, or its
 * sidecar drains. The services' answers change only when this changes. */
#include "base/core/check.h"
#include "control/registry/registry_private.h"

/* A sidecar dials again within a second (sidecar/identity/redial.h). A stream that is back within this time changes no
 * answer: otherwise each reconnect of an endpoint would send two answers to every caller of its service. */
enum { LINGER_MS = 3000 };

enum presence registry_presence(const struct place *place)
{
	const struct claim *claim = place->claim;
	if (claim != NULL && claim->has_ended)
		return PRESENCE_ENDED;
	bool is_elsewhere = claim != NULL && registry_is_held_elsewhere(claim->registry, claim);
	if (place->is_draining || (is_elsewhere && claim->is_draining))
		return PRESENCE_DRAINING;
	return claim == NULL || claim->num_live > 0 || claim->is_lingering || is_elsewhere ? PRESENCE_LIVE
											   : PRESENCE_AWAY;
}

bool registry_is_connected(const struct registry *registry, const struct ip_addr *ip)
{
	const struct claim *claim = registry_find(registry, ip);
	return claim != NULL && !claim->has_ended &&
	       (claim->num_live > 0 || claim->is_lingering || registry_is_held_elsewhere(registry, claim));
}

uint32_t registry_zone(const struct place *place)
{
	const struct claim *claim = place->claim;
	return claim != NULL && registry_is_held_elsewhere(claim->registry, claim) ? claim->zone : place->zone;
}

void registry_changed(struct registry *registry, const struct ip_addr *ip, const struct spiffe_id *id)
{
	const struct registry_observer *observer = &registry->observer;
	const struct member *member = id == NULL ? NULL : registry_member(registry, id);
	if (observer->on_change == NULL)
		return;
	if (ip != NULL)
		observer->on_change(observer->arg, ip);
	if (member == NULL)
		return;
	LIST_EACH(&member->services, const struct place, at, of_services)
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
	CHECK(claim->is_lingering && claim->num_live == 0);
	/* It was sent to another control plane, and what that one knows cannot be seen here (decision 080). */
	if (store_silent_ms(claim->registry->store, NULL) >= STORE_CUT_OFF_MS) {
		registry_linger(claim->registry, claim, LINGER_MS);
		return;
	}
	claim->is_lingering = false;
	registry_sync(claim->registry, claim);
	registry_review(claim->registry, claim);
}

void registry_linger(struct registry *registry, struct claim *claim, uint64_t ms)
{
	CHECK(claim->num_live == 0); /* a claim with a stream does not linger */
	claim->is_lingering = true;
	loop_timer_start(registry->loop, &claim->linger, ms, linger_ended);
}

void registry_stream_opened(struct registry *registry, struct claim *claim)
{
	CHECK(!claim->has_ended);
	claim->num_live++;
	claim->is_lingering = false;
	loop_timer_stop(&claim->linger);
	registry_sync(registry, claim);
	registry_review(registry, claim);
}

void registry_stream_closed(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip)
{
	struct claim *claim = registry_find(registry, ip);
	if (claim == NULL || claim->num_live == 0 || !spiffe_id_eq(&claim->id, id) || --claim->num_live > 0)
		return;
	if (!claim->place->is_draining)
		registry_linger(registry, claim, LINGER_MS);
	registry_sync(registry, claim);
	registry_review(registry, claim);
}

static bool is_entry_of(const struct place *place, const struct spiffe_id *id)
{
	return place->entry != NULL && spiffe_id_eq(&place->entry->identity, id);
}

static bool is_owned_by(const struct place *place, const struct spiffe_id *id)
{
	const struct claim *claim = place->claim;
	return is_entry_of(place, id) || (claim != NULL && !claim->has_ended && spiffe_id_eq(&claim->id, id));
}

void registry_set_zone(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip, uint32_t zone)
{
	struct place *place = registry_place(registry, ip);
	if (place == NULL || place->zone == zone || !is_owned_by(place, id))
		return;
	place->zone = zone;
	if (place->claim != NULL)
		registry_sync(registry, place->claim);
	registry_changed(registry, NULL, id);
}

void registry_set_draining(
	struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip, bool is_draining)
{
	struct place *place = registry_place(registry, ip);
	if (place == NULL || place->is_draining == is_draining || !is_owned_by(place, id))
		return;
	bool is_entry = is_entry_of(place, id);
	place->is_draining = is_draining;
	if (place->claim != NULL) {
		registry_sync(registry, place->claim);
		registry_review(registry, place->claim);
	}
	if (is_entry)
		registry_changed(registry, NULL, id);
}

struct registry_reported registry_reported(const struct registry *registry, const struct ip_addr *ip)
{
	const struct place *place = registry_place(registry, ip);
	return place == NULL ? (struct registry_reported){0}
			     : (struct registry_reported){.zone = place->zone, .is_draining = place->is_draining};
}
