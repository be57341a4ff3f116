/* EndpointSlices: which places are endpoints of which Service. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"
#include <stdio.h>

static uint64_t name_hash(const struct kube_view *view, const char *name)
{
	return content_mix(view->slices.seed, name);
}

static bool has_name(const struct table_link *link, const void *name)
{
	return strcmp(container_of(link, const struct slice, link)->name, name) == 0;
}

struct name_text {
	char text[512];
};

static struct name_text name_of(const struct kube_meta *meta)
{
	struct name_text name;
	snprintf(name.text, sizeof(name.text), "%s/%s", meta->namespace_, meta->name);
	return name;
}

static struct slice *slice_find(const struct kube_view *view, const char *name)
{
	struct table_link *link = table_find(&view->slices, name_hash(view, name), has_name, name);
	return link == NULL ? NULL : container_of(link, struct slice, link);
}

static uint64_t content_of(const struct kube_view *view, const struct kube_slice *slice)
{
	uint64_t content = content_mix(view->slices.seed, slice->service);
	for (size_t i = 0; i < slice->num_ports; i++)
		content = content_mix(hash_mix(content, slice->ports[i].port), slice->ports[i].name);
	for (size_t i = 0; i < slice->num_endpoints; i++) {
		const struct kube_endpoint *at = &slice->endpoints[i];
		uint64_t facts = (uint64_t)at->is_ready << 2 | (uint64_t)at->is_serving << 1 | at->is_terminating;
		content = content_mix_ip(content_mix(hash_mix(content, facts), at->pod_uid), &at->ip);
		content = content_mix(content, at->zone);
		for (size_t k = 0; k < at->num_for_zones; k++)
			content = content_mix(content, at->for_zones[k]);
	}
	return content;
}

static void slice_clear(struct kube_view *view, struct slice *slice)
{
	CHECK(view->num_endpoints >= slice->num_endpoints);
	for (size_t i = 0; i < slice->num_endpoints; i++) {
		list_remove(&slice->endpoints[i].of_place);
		place_left(view, slice->endpoints[i].place);
	}
	for (size_t i = 0; i < slice->num_ports; i++)
		mem_free(slice->ports[i].name);
	view->num_endpoints -= slice->num_endpoints;
	slice->share->num[SHARE_ENDPOINTS] -= slice->num_endpoints;
	mem_free(slice->endpoints);
	mem_free(slice->ports);
	slice->endpoints = NULL;
	slice->ports = NULL;
	slice->num_endpoints = slice->num_ports = 0;
}

static void slice_fill(struct kube_view *view, struct slice *slice, const struct kube_slice *fresh)
{
	slice->ports = fresh->num_ports == 0 ? NULL : mem_calloc(fresh->num_ports, sizeof(*slice->ports));
	slice->endpoints =
		fresh->num_endpoints == 0 ? NULL : mem_calloc(fresh->num_endpoints, sizeof(*slice->endpoints));
	for (size_t i = 0; i < fresh->num_ports; i++)
		slice->ports[slice->num_ports++] =
			(struct slice_port){mem_strdup(fresh->ports[i].name), fresh->ports[i].port};
	for (size_t i = 0; i < fresh->num_endpoints; i++) {
		const struct kube_endpoint *from = &fresh->endpoints[i];
		struct endpoint *endpoint = &slice->endpoints[slice->num_endpoints++];
		*endpoint = (struct endpoint){.place = place_for(view, &from->ip),
			.slice = slice,
			.uid_hash = from->pod_uid[0] == '\0' ? 0 : pod_uid_hash(view, from->pod_uid),
			.is_ready = from->is_ready,
			.is_serving = from->is_serving,
			.is_terminating = from->is_terminating};
		zones_of(from, endpoint);
		list_push_back(&endpoint->place->endpoints, &endpoint->of_place);
		zone_note(view, endpoint);
	}
	view->num_endpoints += slice->num_endpoints;
	slice->share->num[SHARE_ENDPOINTS] += slice->num_endpoints;
}

static struct slice *slice_new(struct kube_view *view, const struct kube_meta *meta, const char *name)
{
	size_t len = strlen(name) + 1;
	struct slice *slice = mem_zalloc(sizeof(*slice) + len);
	memcpy(slice->name, name, len);
	slice->share = share_take(view, meta->namespace_, SHARE_SLICES);
	table_add(&view->slices, &slice->link, name_hash(view, name));
	return slice;
}

/* Moves it to this Service; the Service of before is notified. */
static void slice_join(struct kube_view *view, struct slice *slice, struct service *service)
{
	struct service *before = slice->service;
	if (before == service)
		return;
	if (before != NULL)
		list_remove(&slice->of_service);
	slice->service = service;
	if (service != NULL)
		list_push_back(&service->slices, &slice->of_service);
	if (before == NULL)
		return;
	service_changed(view, before);
	service_left(view, before);
}

/* What was known of it stays, and its Service is no longer plaintext. */
static enum err refuse(struct kube_view *view, struct slice *slice, const struct kube_slice *fresh, struct why *why)
{
	struct service *service = service_for(view, fresh->meta.namespace_, fresh->service);
	if (slice != NULL) {
		slice->is_cut = true;
		slice->content = 0;
		service_changed(view, slice->service);
	}
	if (service != NULL && (slice == NULL || service != slice->service))
		service_cut(view, service);
	return why_set(why, ERR_LIMIT,
		"at most 131072 EndpointSlices with 400000 endpoints, an eighth of it in one namespace, and 1000 in "
		"each",
		"use more namespaces, or split the cluster", "the EndpointSlice %.63s/%.120s is left out",
		fresh->meta.namespace_, fresh->meta.name);
}

static bool has_room(const struct kube_view *view, const struct slice *slice, const struct kube_slice *fresh)
{
	size_t num_before = slice == NULL ? 0 : slice->num_endpoints;
	const char *namespace_ = fresh->meta.namespace_;
	if (fresh->num_endpoints > num_before &&
		(view->num_endpoints - num_before + fresh->num_endpoints > KUBE_VIEW_ENDPOINTS_MAX ||
			!share_has_room(view, namespace_, SHARE_ENDPOINTS, fresh->num_endpoints - num_before)))
		return false;
	return slice != NULL ||
	       (view->slices.num < KUBE_VIEW_SLICES_MAX && share_has_room(view, namespace_, SHARE_SLICES, 1));
}

enum err slice_put(struct kube_view *view, const struct kube_slice *fresh, struct why *why)
{
	struct name_text name = name_of(&fresh->meta);
	struct slice *slice = slice_find(view, name.text);
	uint64_t content = content_of(view, fresh);
	if (slice != NULL)
		slice->generation = view->generations[KUBE_SLICES];
	if (slice != NULL && slice->content == content && !fresh->is_cut)
		return ERR_NONE;
	if (fresh->service[0] == '\0') {
		slice_deleted(view, &fresh->meta);
		return ERR_NONE;
	}
	if (fresh->is_cut || !has_room(view, slice, fresh))
		return refuse(view, slice, fresh, why);
	struct service *service = service_for(view, fresh->meta.namespace_, fresh->service);
	if (service == NULL)
		return refuse(view, slice, fresh, why);
	if (slice == NULL)
		slice = slice_new(view, &fresh->meta, name.text);
	slice_clear(view, slice);
	slice_join(view, slice, service);
	slice_fill(view, slice, fresh);
	slice->is_cut = false;
	slice->content = content;
	slice->generation = view->generations[KUBE_SLICES];
	service_changed(view, service);
	return ERR_NONE;
}

void slice_remove(struct kube_view *view, struct slice *slice)
{
	slice_clear(view, slice);
	slice_join(view, slice, NULL);
	table_remove(&view->slices, &slice->link);
	share_drop(view, slice->share, SHARE_SLICES);
	mem_free(slice);
}

void slice_deleted(struct kube_view *view, const struct kube_meta *meta)
{
	struct name_text name = name_of(meta);
	struct slice *slice = slice_find(view, name.text);
	if (slice != NULL)
		slice_remove(view, slice);
}
