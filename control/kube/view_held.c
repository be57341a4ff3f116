/* Addresses that nothing is known about in networks that pods share with other hosts: a pod's object may come in a
 * moment after its address is in use, so such an address is unknown for KUBE_VIEW_HOLD_MS since it was first asked for,
 * and is another host's if no pod has come until then. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"

static uint64_t held_hash(const struct kube_view *view, const struct ip_addr *ip)
{
	return content_mix_ip(view->held.seed, ip);
}

static bool has_ip(const struct table_link *link, const void *ip)
{
	return ip_addr_eq(&container_of(link, const struct held, link)->ip, ip);
}

static struct held *held_find(const struct kube_view *view, const struct ip_addr *ip)
{
	struct table_link *link = table_find(&view->held, held_hash(view, ip), has_ip, ip);
	return link == NULL ? NULL : container_of(link, struct held, link);
}

static void drop(struct kube_view *view, struct held *held)
{
	list_remove(&held->of_view);
	table_remove(&view->held, &held->link);
	mem_free(held);
}

static void held_add(struct kube_view *view, const struct ip_addr *ip)
{
	if (view->held.num >= KUBE_VIEW_HELD_MAX) {
		struct list *list = list_is_empty(&view->decided) ? &view->undecided : &view->decided;
		drop(view, LIST_FIRST(list, struct held, of_view));
	}
	struct held *held = mem_new(struct held);
	held->ip = *ip;
	held->asked_ms = view->now_ms;
	table_add(&view->held, &held->link, held_hash(view, ip));
	list_push_back(&view->undecided, &held->of_view);
}

bool held_is_decided(struct kube_view *view, const struct ip_addr *ip)
{
	const struct held *held = held_find(view, ip);
	if (held == NULL)
		held_add(view, ip);
	return held != NULL && held->is_decided;
}

void held_forget(struct kube_view *view, const struct ip_addr *ip)
{
	struct held *held = held_find(view, ip);
	if (held != NULL)
		drop(view, held);
}

void held_pass(struct kube_view *view)
{
	for (;;) {
		struct held *oldest = LIST_FIRST(&view->undecided, struct held, of_view);
		if (view->is_stale || oldest == NULL || view->now_ms - oldest->asked_ms < KUBE_VIEW_HOLD_MS)
			return;
		struct ip_addr ip = oldest->ip;
		oldest->is_decided = true;
		list_remove(&oldest->of_view);
		list_push_back(&view->decided, &oldest->of_view);
		view->observer.on_change(view->observer.arg, &ip);
	}
}

static void remove_held(void *arg, struct table_link *link)
{
	drop(arg, container_of(link, struct held, link));
}

void held_done(struct kube_view *view)
{
	table_each(&view->held, remove_held, view);
	table_done(&view->held);
}
