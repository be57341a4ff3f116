/* Services, their addresses, and what each was when it last had an endpoint. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"
#include <stdio.h>

struct name_key {
	const char *namespace_, *name;
};

static uint64_t name_hash(const struct kube_view *view, const struct name_key *key)
{
	return content_mix(content_mix(view->services.seed, key->namespace_), key->name);
}

static bool has_name(const struct table_link *link, const void *key)
{
	const char *name = container_of(link, const struct service, link)->name;
	const struct name_key *wanted = key;
	size_t len = strlen(wanted->namespace_);
	return strncmp(name, wanted->namespace_, len) == 0 && name[len] == '/' &&
	       strcmp(name + len + 1, wanted->name) == 0;
}

struct service *service_find(const struct kube_view *view, const char *namespace_, const char *name)
{
	const struct name_key key = {namespace_, name};
	struct table_link *link = table_find(&view->services, name_hash(view, &key), has_name, &key);
	return link == NULL ? NULL : container_of(link, struct service, link);
}

struct service *service_for(struct kube_view *view, const char *namespace_, const char *name)
{
	const struct name_key key = {namespace_, name};
	struct service *service = service_find(view, namespace_, name);
	size_t cap = strlen(namespace_) + strlen(name) + 2;
	if (service != NULL || view->services.num >= KUBE_VIEW_SERVICES_MAX ||
		!share_has_room(view, namespace_, SHARE_SERVICES, 1))
		return service;
	service = mem_zalloc(sizeof(*service) + cap);
	service->share = share_take(view, namespace_, SHARE_SERVICES);
	snprintf(service->name, cap, "%s/%s", namespace_, name);
	table_add(&view->services, &service->link, name_hash(view, &key));
	return service;
}

void service_left(struct kube_view *view, struct service *service)
{
	if (service->exists || service->is_cut || !list_is_empty(&service->slices))
		return;
	CHECK(service->num_addresses == 0 && service->num_ports == 0);
	if (list_is_linked(&service->due))
		list_remove(&service->due);
	table_remove(&view->services, &service->link);
	share_drop(view, service->share, SHARE_SERVICES);
	mem_free(service);
}

static uint64_t node_port_hash(const struct kube_view *view, uint16_t port)
{
	return hash_mix(view->node_ports.seed, port);
}

static void ports_clear(struct kube_view *view, struct service *service)
{
	for (size_t i = 0; i < service->num_ports; i++) {
		if (service->ports[i].node_port != 0)
			table_remove(&view->node_ports, &service->ports[i].by_node_port);
		mem_free(service->ports[i].name);
	}
	mem_free(service->ports);
	service->ports = NULL;
	service->num_ports = 0;
}

static void ports_set(struct kube_view *view, struct service *service, const struct kube_service *fresh)
{
	service->ports = fresh->num_ports == 0 ? NULL : mem_calloc(fresh->num_ports, sizeof(*service->ports));
	for (size_t i = 0; i < fresh->num_ports; i++) {
		struct service_port *port = &service->ports[service->num_ports++];
		const struct kube_service_port *from = &fresh->ports[i];
		*port = (struct service_port){.service = service,
			.name = mem_strdup(from->name),
			.port = from->port,
			.node_port = from->node_port};
		if (port->node_port != 0)
			table_add(&view->node_ports, &port->by_node_port, node_port_hash(view, port->node_port));
	}
}

static void notify_addresses(struct kube_view *view, const struct service *service)
{
	bool has_node_port = false;
	if (!view->is_synced)
		return;
	for (size_t i = 0; i < service->num_addresses; i++)
		view->observer.on_change(view->observer.arg, &service->addresses[i].place->ip);
	for (size_t i = 0; i < service->num_ports; i++)
		has_node_port = has_node_port || service->ports[i].node_port != 0;
	if (!has_node_port)
		return;
	LIST_EACH(&view->hosts, const struct place, host, of_view)
		view->observer.on_change(view->observer.arg, &host->ip);
}

static void addresses_clear(struct kube_view *view, struct service *service)
{
	for (size_t i = 0; i < service->num_addresses; i++) {
		struct place *place = service->addresses[i].place;
		place->num_meshed -= service->last == SERVICE_MESHED;
		list_remove(&service->addresses[i].of_place);
		place_left(view, place);
	}
	mem_free(service->addresses);
	service->addresses = NULL;
	service->num_addresses = 0;
}

static void addresses_set(struct kube_view *view, struct service *service, const struct kube_service *fresh)
{
	service->addresses =
		fresh->num_addresses == 0 ? NULL : mem_calloc(fresh->num_addresses, sizeof(*service->addresses));
	for (size_t i = 0; i < fresh->num_addresses; i++) {
		struct service_address *address = &service->addresses[service->num_addresses++];
		*address = (struct service_address){.place = place_for(view, &fresh->addresses[i].ip),
			.service = service,
			.kind = fresh->addresses[i].kind};
		list_push_back(&address->place->services, &address->of_place);
		address->place->num_meshed += service->last == SERVICE_MESHED;
		if (address->kind == KUBE_ADDRESS_CLUSTER)
			net_note_service(view, &address->place->ip);
		place_taken(view, address->place);
	}
}

void service_changed(struct kube_view *view, struct service *service)
{
	if (!view->is_synced)
		return;
	if (view->is_changing) {
		if (!list_is_linked(&service->due))
			list_push_back(&view->due, &service->due);
		return;
	}
	enum service_state now = service_judge(view, service), before = service->last;
	service->last = now;
	CHECK(service->num_addresses == 0 || service->addresses != NULL);
	for (size_t i = 0; now != before && i < service->num_addresses; i++) {
		struct place *place = service->addresses[i].place;
		place->num_meshed += now == SERVICE_MESHED;
		place->num_meshed -= before == SERVICE_MESHED;
		place_taken(view, place);
	}
	notify_addresses(view, service);
}

void services_settle(struct kube_view *view)
{
	CHECK(!view->is_changing);
	LIST_EACH_REMOVABLE(&view->due, struct service, service, due) {
		list_remove(&service->due);
		service_changed(view, service);
	}
}

void service_cut(struct kube_view *view, struct service *service)
{
	service->is_cut = true;
	service->cut = view->generations[KUBE_SLICES];
	service_changed(view, service);
}

static uint64_t content_of(const struct kube_view *view, const struct kube_service *service)
{
	uint64_t content = hash_mix(view->services.seed, service->affinity_s);
	for (size_t i = 0; i < service->num_ports; i++) {
		const struct kube_service_port *port = &service->ports[i];
		content = content_mix(hash_mix(content, (uint64_t)port->port << 16 | port->node_port), port->name);
	}
	for (size_t i = 0; i < service->num_addresses; i++)
		content = content_mix_ip(hash_mix(content, service->addresses[i].kind), &service->addresses[i].ip);
	return content;
}

/* Cluster addresses among those of other Services are unknown; what else such a Service has is unknown where there are
 * too many of all namespaces. Of one namespace alone it is not, so that it does not make the outside unknown to all. */
static enum err refuse(struct kube_view *view, const struct kube_service *service, struct why *why)
{
	for (size_t i = 0; i < service->num_addresses; i++)
		if (service->addresses[i].kind == KUBE_ADDRESS_CLUSTER)
			net_note_service(view, &service->addresses[i].ip);
	if (view->services.num >= KUBE_VIEW_SERVICES_MAX)
		view->is_cut = view->will_be_cut = true;
	return why_set(why, ERR_LIMIT, "at most 65536 Services, and 8192 of one namespace",
		"use more namespaces, or split the cluster", "the Service %.63s/%.120s is left out",
		service->meta.namespace_, service->meta.name);
}

enum err service_put(struct kube_view *view, const struct kube_service *fresh, struct why *why)
{
	struct service *service = service_for(view, fresh->meta.namespace_, fresh->meta.name);
	uint64_t content = content_of(view, fresh);
	if (service == NULL)
		return refuse(view, fresh, why);
	service->generation = view->generations[KUBE_SERVICES];
	if (service->exists && service->content == content)
		return ERR_NONE;
	notify_addresses(view, service);
	ports_clear(view, service);
	addresses_clear(view, service);
	service->exists = true;
	service->content = content;
	service->affinity_s = fresh->affinity_s;
	ports_set(view, service, fresh);
	addresses_set(view, service, fresh);
	service_changed(view, service);
	return ERR_NONE;
}

void service_remove(struct kube_view *view, struct service *service)
{
	if (!service->exists)
		return;
	notify_addresses(view, service);
	ports_clear(view, service);
	addresses_clear(view, service);
	service->exists = false;
	service->last = SERVICE_NEW; /* another one of its name starts anew */
	service_left(view, service);
}

void service_deleted(struct kube_view *view, const struct kube_meta *meta)
{
	struct service *service = service_find(view, meta->namespace_, meta->name);
	if (service != NULL)
		service_remove(view, service);
}
