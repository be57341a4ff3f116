/* What a destination is, by the cluster's objects. */
#include "base/core/check.h"
#include "base/core/fixed_ports.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"
#include <stdio.h>
#include <string.h>

/* --- endpoints --- */

enum use {
	USE_READY,
	USE_DRAINING, /* it ends, and serves until then */
	USE_LATER,    /* it is not ready */
	USE_UNSURE, /* of a pod that has not come in, that has no longer this address, or whose identity is not known */
	USE_NOT,    /* such a one, which ends and does not serve */
	NUM_USES
};

struct judged {
	enum use use;
	const struct account *account; /* whose sidecar answers there; NULL: it has none */
	bool is_istio_tls;
};

/* A node, or what is outside of the cluster. */
static bool is_plain_host(const struct kube_view *view, const struct place *place)
{
	enum net_kind kind = net_kind(view, &place->ip);
	return place->num_hosts > 0 || (!place->was_meshed && (kind == NET_OUTSIDE || kind == NET_SHARED));
}

/* The pod behind the endpoint. False: it is known to have one, but not at this address (now). */
static bool find_pod(const struct kube_view *view, const struct endpoint *endpoint, const struct pod **out)
{
	const struct pod *owner = place_owner(endpoint->place);
	*out = owner;
	if (endpoint->uid_hash == 0)
		return owner != NULL || is_plain_host(view, endpoint->place);
	*out = pod_by_hash(view, endpoint->uid_hash);
	return *out != NULL && (*out == owner || ((*out)->is_host_network && owner == NULL));
}

/* A pod that is being deleted may turn Ready again: the time of its deletion decides. */
static struct judged judge(const struct kube_view *view, const struct endpoint *endpoint)
{
	const struct pod *pod;
	if (!find_pod(view, endpoint, &pod) || (pod != NULL && pod->has_unmarked_sidecar))
		return (struct judged){
			endpoint->is_terminating && !endpoint->is_serving ? USE_NOT : USE_UNSURE, NULL, false};
	bool ends = endpoint->is_terminating || (pod != NULL && pod->is_deleting);
	struct judged judged = {
		USE_LATER, pod != NULL && pod->has_sidecar ? pod->account : NULL, pod != NULL && pod->is_istio_tls};
	if (ends && (endpoint->is_serving || endpoint->is_ready))
		judged.use = USE_DRAINING;
	else if (!ends && endpoint->is_ready)
		judged.use = USE_READY;
	return judged;
}

/* Which endpoints: of one port and one family, or all. */
struct selection {
	const char *port; /* NULL: all */
	uint8_t family;
};

static uint16_t port_of(const struct slice *slice, const struct selection *selection)
{
	for (size_t i = 0; i < slice->num_ports; i++)
		if (selection->port == NULL || strcmp(slice->ports[i].name, selection->port) == 0)
			return slice->ports[i].port;
	return 0;
}

static bool is_selected(const struct endpoint *endpoint, const struct selection *selection)
{
	return selection->family == 0 || endpoint->place->ip.family == selection->family;
}

struct tally {
	size_t meshed[NUM_USES], plain[NUM_USES];
	size_t num_meshed_ready; /* also those that end: the node's proxy takes them */
	size_t num_unsure;       /* endpoints and slices that may be anything */
};

static struct tally count(
	const struct kube_view *view, const struct service *service, const struct selection *selection)
{
	struct tally tally = {.num_unsure = service->is_cut};
	LIST_EACH(&service->slices, const struct slice, slice, of_service) {
		tally.num_unsure += slice->is_cut;
		if (port_of(slice, selection) == 0)
			continue;
		for (size_t i = 0; i < slice->num_endpoints; i++) {
			if (!is_selected(&slice->endpoints[i], selection))
				continue;
			struct judged judged = judge(view, &slice->endpoints[i]);
			if (judged.account == NULL)
				tally.plain[judged.use]++;
			else
				tally.meshed[judged.use]++;
			tally.num_meshed_ready += judged.account != NULL && slice->endpoints[i].is_ready;
		}
	}
	tally.num_unsure += tally.plain[USE_UNSURE];
	return tally;
}

/* --- services --- */

/* A Service that was meshed stays so while an endpoint is left that has a sidecar, or that may have one: otherwise a
 * caller that makes those fail their probes turns encryption off. Without any endpoint it is what it was. Plaintext
 * goes to whichever endpoint the node's proxy takes, so it needs all of them to be known. */
static enum service_state conclude(const struct tally *tally, enum service_state last)
{
	size_t meshed_left = tally->meshed[USE_DRAINING] + tally->meshed[USE_LATER] + tally->num_unsure;
	enum service_state plain = tally->num_unsure > 0 ? SERVICE_UNSURE : SERVICE_PLAIN;
	if (tally->num_meshed_ready > 0 || (last == SERVICE_MESHED && meshed_left > 0))
		return SERVICE_MESHED;
	if (tally->plain[USE_READY] > 0)
		return plain;
	if (tally->meshed[USE_DRAINING] > 0)
		return SERVICE_MESHED;
	if (tally->plain[USE_DRAINING] > 0)
		return plain;
	if (tally->meshed[USE_LATER] > 0)
		return SERVICE_MESHED;
	return tally->num_unsure > 0 ? SERVICE_UNSURE : last;
}

enum service_state service_judge(const struct kube_view *view, const struct service *service)
{
	const struct selection all = {NULL, 0};
	struct tally tally = count(view, service, &all);
	size_t num_used = 0;
	for (enum use use = USE_READY; use <= USE_DRAINING; use++)
		num_used += tally.meshed[use] + tally.plain[use];
	enum service_state now = num_used == 0 ? service->last : conclude(&tally, service->last);
	return now == SERVICE_UNSURE ? service->last : now;
}

static void endpoint_add(
	const struct endpoint *endpoint, uint16_t port, const struct judged *judged, struct resolution *out)
{
	size_t num = out->num_endpoints + out->num_draining;
	if (num == RESOLUTION_ENDPOINTS_MAX) {
		out->is_cut = true;
		return;
	}
	out->endpoints[num] = (struct resolved_endpoint){.address = {.ip = endpoint->place->ip, .port = port},
		.id = &judged->account->id,
		.is_istio_tls = judged->is_istio_tls};
	memcpy(out->endpoints[num].zones, endpoint->zones, sizeof(endpoint->zones));
}

/* The endpoints with a sidecar that are used like this. */
static size_t gather(const struct kube_view *view, const struct service *service, const struct selection *selection,
	enum use use, struct resolution *out, size_t *num)
{
	LIST_EACH(&service->slices, const struct slice, slice, of_service) {
		uint16_t port = port_of(slice, selection);
		for (size_t i = 0; port != 0 && i < slice->num_endpoints; i++) {
			const struct endpoint *endpoint = &slice->endpoints[i];
			if (!is_selected(endpoint, selection))
				continue;
			struct judged judged = judge(view, endpoint);
			if (judged.use != use || judged.account == NULL)
				continue;
			endpoint_add(endpoint, port, &judged, out);
			*num += !out->is_cut;
		}
	}
	return *num;
}

static void resolve_port(const struct kube_view *view, const struct service *service, const struct service_port *port,
	uint8_t family, struct resolution *out)
{
	const struct selection selection = {port->name, family};
	struct tally tally = count(view, service, &selection);
	out->service = service->name;
	out->affinity_s = service->affinity_s;
	switch (conclude(&tally, service->last)) {
	case SERVICE_MESHED:
		out->kind = RESOLVED_MESHED;
		if (gather(view, service, &selection, USE_READY, out, &out->num_endpoints) > 0)
			gather(view, service, &selection, USE_DRAINING, out, &out->num_draining);
		else
			gather(view, service, &selection, USE_DRAINING, out, &out->num_endpoints);
		return;
	case SERVICE_PLAIN:
		out->kind = RESOLVED_PLAIN;
		snprintf(out->reason, sizeof(out->reason), "no pod of the Service %.120s has a sidecar", service->name);
		return;
	case SERVICE_NEW:
		out->kind = RESOLVED_UNKNOWN;
		snprintf(out->reason, sizeof(out->reason), "the Service %.120s has had no endpoint", service->name);
		return;
	case SERVICE_UNSURE:
		out->kind = RESOLVED_UNKNOWN;
		snprintf(out->reason, sizeof(out->reason), "the pod of an endpoint of the Service %.100s is not known",
			service->name);
		return;
	}
	CHECK_UNREACHABLE();
}

static const struct service_port *find_port(const struct service *service, uint16_t port)
{
	for (size_t i = 0; i < service->num_ports; i++)
		if (service->ports[i].port == port)
			return &service->ports[i];
	return NULL;
}

/* The Service that has the address and the port. */
static bool resolve_service(const struct kube_view *view, const struct place *place, enum kube_address_kind kind,
	const struct addr *destination, struct resolution *out)
{
	const struct service *without_port = NULL;
	LIST_EACH(&place->services, const struct service_address, at, of_place) {
		if (at->kind != kind)
			continue;
		const struct service_port *port = find_port(at->service, destination->port);
		if (port != NULL) {
			resolve_port(view, at->service, port, destination->ip.family, out);
			return true;
		}
		without_port = at->service;
	}
	if (without_port == NULL || kind != KUBE_ADDRESS_CLUSTER) /* an external address is shared with its owner */
		return false;
	out->kind = RESOLVED_UNKNOWN;
	snprintf(out->reason, sizeof(out->reason), "the Service %.80s has no TCP port %u", without_port->name,
		destination->port);
	return true;
}

static bool has_node_port(const struct table_link *link, const void *port)
{
	return container_of(link, const struct service_port, by_node_port)->node_port == *(const uint16_t *)port;
}

static bool resolve_host(const struct kube_view *view, const struct addr *destination, struct resolution *out)
{
	uint64_t hash = hash_mix(view->node_ports.seed, destination->port);
	struct table_link *link = table_find(&view->node_ports, hash, has_node_port, &destination->port);
	if (link != NULL) {
		const struct service_port *port = container_of(link, const struct service_port, by_node_port);
		resolve_port(view, port->service, port, destination->ip.family, out);
		return true;
	}
	out->kind = RESOLVED_PLAIN;
	snprintf(out->reason, sizeof(out->reason), "it is an address of a node");
	return true;
}

/* FIXED_PORT_METRICS: of an injected pod, which no tunnel reaches. */
static void resolve_pod(const struct pod *pod, const struct addr *destination, struct resolution *out)
{
	if (pod->has_sidecar && !pod->is_foreign && destination->port == FIXED_PORT_METRICS) {
		out->kind = RESOLVED_PLAIN;
		snprintf(out->reason, sizeof(out->reason), "it is the port of the sidecar's own metrics");
		return;
	}
	if (pod->has_sidecar) {
		out->kind = RESOLVED_MESHED;
		out->endpoints[0] = (struct resolved_endpoint){
			.address = *destination, .id = &pod->account->id, .is_istio_tls = pod->is_istio_tls};
		out->num_endpoints = 1;
		return;
	}
	out->kind = pod->has_unmarked_sidecar ? RESOLVED_UNKNOWN : RESOLVED_PLAIN;
	snprintf(out->reason, sizeof(out->reason), "the pod %.50s/%.50s has %s", pod->account->namespace_, pod->name,
		pod->has_unmarked_sidecar ? "a sidecar that was not injected" : "no sidecar");
}

static bool resolve_place(
	const struct kube_view *view, const struct place *place, const struct addr *destination, struct resolution *out)
{
	if (resolve_service(view, place, KUBE_ADDRESS_CLUSTER, destination, out))
		return true;
	const struct pod *owner = place_owner(place);
	if (owner != NULL) {
		resolve_pod(owner, destination, out);
		return true;
	}
	if (resolve_service(view, place, KUBE_ADDRESS_EXTERNAL, destination, out))
		return true;
	if (place->num_hosts > 0)
		return resolve_host(view, destination, out);
	if (!place->was_meshed || !list_is_empty(&place->services))
		return false;
	out->kind = RESOLVED_MESHED; /* without an endpoint */
	return true;
}

static bool unknown(struct resolution *out, const char *reason)
{
	out->kind = RESOLVED_UNKNOWN;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return true;
}

/* An address that nothing is known about. */
static bool resolve_stranger(struct kube_view *view, const struct ip_addr *ip, struct resolution *out)
{
	switch (net_kind(view, ip)) {
	case NET_OUTSIDE:
		return false;
	case NET_PODS:
		return unknown(out, "it lies among the addresses of pods, and no pod has it");
	case NET_SERVICES:
		return unknown(out, "it lies among the addresses of Services, and no Service has it");
	case NET_ANY:
		return unknown(out, "the cluster has more networks than the control plane holds");
	case NET_SHARED:
		if (view->is_stale)
			return unknown(
				out, "it lies among the addresses of pods, and the API server of the cluster is away");
		return !held_is_decided(view, ip) &&
		       unknown(out, "it lies among the addresses of pods, and one may come in in a moment");
	}
	CHECK_UNREACHABLE();
}

bool kube_view_resolve(void *arg, const struct addr *destination, struct resolution *out)
{
	struct kube_view *view = arg;
	if (!view->is_synced)
		return unknown(out, "the state of the cluster has not been received from its API server");
	const struct place *place = place_find(view, &destination->ip);
	if (place != NULL && resolve_place(view, place, destination, out))
		return true;
	if (view->is_cut)
		return unknown(out, "the cluster has more Services than the control plane holds");
	return resolve_stranger(view, &destination->ip, out);
}

/* --- for others --- */

bool kube_view_pod_at(const struct kube_view *view, const struct ip_addr *ip, struct kube_pod_view *out)
{
	const struct place *place = place_find(view, ip);
	const struct pod *owner = place == NULL ? NULL : place_owner(place);
	if (owner == NULL)
		return false;
	*out = (struct kube_pod_view){.namespace_ = owner->account->namespace_,
		.name = owner->name,
		.service_account = owner->account->name,
		.uid = owner->uid,
		.has_sidecar = owner->has_sidecar,
		.is_deleting = owner->is_deleting};
	return true;
}

bool kube_view_service(
	const struct kube_view *view, const char *namespace_, const char *name, struct kube_service_view *out)
{
	const struct service *service = service_find(view, namespace_, name);
	*out = (struct kube_service_view){0};
	for (size_t i = 0; service != NULL && i < service->num_addresses; i++)
		if (service->addresses[i].kind == KUBE_ADDRESS_CLUSTER && out->num_cluster_ips < 2)
			out->cluster_ips[out->num_cluster_ips++] = service->addresses[i].place->ip;
	return service != NULL && service->exists;
}

bool kube_view_service_address(void *arg, const char *name, struct ip_addr *out)
{
	const struct kube_view *view = arg;
	struct kube_service_view service;
	const char *slash = strchr(name, '/');
	if (slash == NULL)
		return false;
	_cleanup_(mem_freep) char *namespace_ = mem_printf("%.*s", (int)(slash - name), name);
	if (!kube_view_service(view, namespace_, slash + 1, &service) || service.num_cluster_ips == 0)
		return false;
	*out = service.cluster_ips[0];
	for (size_t i = 0; i < service.num_cluster_ips; i++)
		if (service.cluster_ips[i].family == AF_INET)
			*out = service.cluster_ips[i];
	return true;
}
