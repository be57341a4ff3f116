/* Addresses, and what stands at each. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"

uint64_t content_mix(uint64_t content, const char *text)
{
	return hash_bytes(span_of_str(text), content);
}

uint64_t content_mix_ip(uint64_t content, const struct ip_addr *ip)
{
	return hash_bytes(ip_addr_bytes(ip), content);
}

static uint64_t place_hash(const struct kube_view *view, const struct ip_addr *ip)
{
	const struct addr addr = {.ip = *ip};
	return addr_hash(&addr, view->places.seed);
}

static bool has_ip(const struct table_link *link, const void *ip)
{
	return ip_addr_eq(&container_of(link, const struct place, link)->ip, ip);
}

struct place *place_find(const struct kube_view *view, const struct ip_addr *ip)
{
	struct table_link *link = table_find(&view->places, place_hash(view, ip), has_ip, ip);
	return link == NULL ? NULL : container_of(link, struct place, link);
}

static bool is_gone(const struct place *place)
{
	return place->num_hosts == 0 && list_is_linked(&place->of_view);
}

static void leave_gone(struct kube_view *view, struct place *place)
{
	CHECK(view->num_gone > 0);
	list_remove(&place->of_view);
	view->num_gone--;
}

struct place *place_for(struct kube_view *view, const struct ip_addr *ip)
{
	struct place *place = place_find(view, ip);
	if (place != NULL)
		return place;
	place = mem_new(struct place);
	place->ip = *ip;
	table_add(&view->places, &place->link, place_hash(view, ip));
	return place;
}

struct pod *place_owner(const struct place *place)
{
	const struct pod_address *first = LIST_FIRST(&place->pods, struct pod_address, of_place);
	return first == NULL ? NULL : first->pod;
}

static bool has_owner(const struct place *place)
{
	return !list_is_empty(&place->pods) || !list_is_empty(&place->services) || place->num_hosts > 0;
}

static void forget(struct kube_view *view, struct place *place)
{
	if (is_gone(place))
		leave_gone(view, place);
	if (!list_is_empty(&place->endpoints) || has_owner(place))
		return;
	table_remove(&view->places, &place->link);
	mem_free(place);
}

static void forget_oldest(struct kube_view *view)
{
	struct place *oldest = LIST_FIRST(&view->gone, struct place, of_view);
	struct ip_addr ip = oldest->ip;
	oldest->was_meshed = false;
	forget(view, oldest);
	if (view->is_synced)
		view->observer.on_change(view->observer.arg, &ip);
}

void place_left(struct kube_view *view, struct place *place)
{
	if (has_owner(place) || is_gone(place))
		return;
	if (!place->was_meshed) {
		forget(view, place);
		return;
	}
	place->gone_ms = view->now_ms;
	list_push_back(&view->gone, &place->of_view);
	if (++view->num_gone > KUBE_VIEW_GONE_MAX)
		forget_oldest(view);
}

void places_forget_old(struct kube_view *view)
{
	for (;;) {
		const struct place *oldest = LIST_FIRST(&view->gone, struct place, of_view);
		if (oldest == NULL || view->now_ms - oldest->gone_ms < KUBE_VIEW_GONE_MS)
			return;
		forget_oldest(view);
	}
}

static bool is_meshed(const struct place *place)
{
	const struct pod *owner = place_owner(place);
	if (owner != NULL)
		return owner->has_sidecar;
	return place->num_meshed > 0;
}

void place_taken(struct kube_view *view, struct place *place)
{
	CHECK(has_owner(place));
	if (list_is_linked(&place->of_view) && place->num_hosts == 0)
		leave_gone(view, place);
	place->was_meshed = is_meshed(place);
}

void place_host_added(struct kube_view *view, struct place *place)
{
	if (is_gone(place))
		leave_gone(view, place);
	if (place->num_hosts++ == 0) {
		list_push_back(&view->hosts, &place->of_view);
		net_note_host(view, &place->ip);
	}
	place_taken(view, place);
}

void place_host_removed(struct kube_view *view, struct place *place)
{
	CHECK(place->num_hosts > 0);
	if (--place->num_hosts > 0)
		return;
	zone_host_gone(place);
	list_remove(&place->of_view);
	place_left(view, place);
}

void place_changed(struct kube_view *view, const struct ip_addr *ip)
{
	const struct place *place = place_find(view, ip);
	if (!view->is_synced)
		return;
	view->observer.on_change(view->observer.arg, ip);
	if (place == NULL)
		return;
	LIST_EACH(&place->endpoints, const struct endpoint, endpoint, of_place)
		service_changed(view, endpoint->slice->service);
}
