/* What a destination is, by the cluster's objects. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "control/kube/view_private.h"
#include <stdio.h>

/* --- endpoints --- */

enum use {
	USE_READY,
	USE_DRAINING, /* it ends, and serves until then */
	USE_LATER,    /* it is not ready */
	USE_NOT, /* of a pod that has not come in, that has no longer this address, or whose identity is not known */
};

struct judged {
	enum use use;
	const struct account *account; /* whose sidecar answers there; NULL: it has none */
};

/* The pod behind the endpoint. False: it is known to have one, but not at this address (now). */
static bool find_pod(const struct kube_view *view, const struct endpoint *endpoint, const struct pod **out)
{
	const struct pod *owner = place_owner(endpoint->place);
	*out = owner;
	if (endpoint->uid_hash == 0)
		return owner != NULL || !endpoint->place->was_meshed;
	*out = pod_by_hash(view, endpoint->uid_hash);
	return *out != NULL && (*out == owner || (*out)->is_host_network);
}

/* A pod that is being deleted may turn Ready again: the time of its deletion decides. */
static struct judged judge(const struct kube_view *view, const struct endpoint *endpoint)
{
	const struct pod *pod;
	if (!find_pod(view, endpoint, &pod) || (pod != NULL && pod->has_unmarked_sidecar))
		return (struct judged){USE_NOT, NULL};
	bool ends = endpoint->is_terminating || (pod != NULL && pod->is_deleting);
	struct judged judged = {USE_LATER, pod != NULL && pod->has_sidecar ? pod->account : NULL};
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
	size_t meshed[USE_NOT + 1], plain[USE_NOT + 1];
};

static struct tally count(
	const struct kube_view *view, const struct service *service, const struct selection *selection)
{
	struct tally tally = {0};
	LIST_EACH(&service->slices, const struct slice, slice, of_service) {
		if (port_of(slice, selection) == 0)
			continue;
		for (size_t i = 0; i < slice->num_endpoints; i++) {
			if (!is_selected(&slice->endpoints[i], selection))
				continue;
			struct judged judged = judge(view, &slice->endpoints[i]);
			if (judged.account != NULL)
				tally.meshed[judged.use]++;
			else
				tally.plain[judged.use]++;
		}
	}
	return tally;
}

/* --- services --- */

/* A Service that was meshed stays so while an endpoint with a sidecar is left: otherwise a caller that makes those fail
 * their probes turns encryption off. Without any endpoint it is what it was. */
static enum service_state conclude(const struct tally *tally, enum service_state last)
{
	size_t meshed_left = tally->meshed[USE_DRAINING] + tally->meshed[USE_LATER];
	if (tally->meshed[USE_READY] > 0 || (last == SERVICE_MESHED && meshed_left > 0))
		return SERVICE_MESHED;
	if (tally->plain[USE_READY] > 0)
		return SERVICE_PLAIN;
	if (tally->meshed[USE_DRAINING] > 0)
		return SERVICE_MESHED;
	if (tally->plain[USE_DRAINING] > 0)
		return SERVICE_PLAIN;
	return tally->meshed[USE_LATER] > 0 ? SERVICE_MESHED : last;
}

enum service_state service_judge(const struct kube_view *view, const struct service *service)
{
	const struct selection all = {NULL, 0};
	struct tally tally = count(view, service, &all);
	size_t num_used = 0;
	for (enum use use = USE_READY; use <= USE_DRAINING; use++)
		num_used += tally.meshed[use] + tally.plain[use];
	return num_used == 0 ? service->last : conclude(&tally, service->last);
}

static void endpoint_add(
	const struct endpoint *endpoint, uint16_t port, const struct account *account, struct resolution *out)
{
	size_t num = out->num_endpoints + out->num_draining;
	if (num == RESOLUTION_ENDPOINTS_MAX) {
		out->is_cut = true;
		return;
	}
	out->endpoints[num].address = (struct addr){.ip = endpoint->place->ip, .port = port};
	out->endpoints[num].id = &account->id;
}

/* The endpoints with a sidecar that are used like this. */
static size_t gather(const struct kube_view *view, const struct service *service, const struct selection *selection,
	enum use use, struct resolution *out, size_t *num)
{
	LIST_EACH(&service->slices, const struct slice, slice, of_service) {
		uint16_t port = port_of(slice, selection);
		for (size_t i = 0; port != 0 && i < slice->num_endpoints; i++) {
			const struct endpoint *endpoint = &slice->endpoints[i];
			struct judged judged = {USE_NOT, NULL};
			if (is_selected(endpoint, selection))
				judged = judge(view, endpoint);
			if (judged.use != use || judged.account == NULL)
				continue;
			endpoint_add(endpoint, port, judged.account, out);
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

enum { SIDECAR_METRICS_PORT = 15020 }; /* of an injected pod: metrics and probes, which no tunnel reaches */

static void resolve_pod(const struct pod *pod, const struct addr *destination, struct resolution *out)
{
	if (pod->has_sidecar && destination->port == SIDECAR_METRICS_PORT) {
		out->kind = RESOLVED_PLAIN;
		snprintf(out->reason, sizeof(out->reason), "it is the port of the sidecar's own metrics");
		return;
	}
	if (pod->has_sidecar) {
		out->kind = RESOLVED_MESHED;
		out->endpoints[0].address = *destination;
		out->endpoints[0].id = &pod->account->id;
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

bool kube_view_resolve(void *arg, const struct addr *destination, struct resolution *out)
{
	const struct kube_view *view = arg;
	if (!view->is_synced)
		return unknown(out, "the state of the cluster has not come in from its API server");
	const struct place *place = place_find(view, &destination->ip);
	if (place != NULL && resolve_place(view, place, destination, out))
		return true;
	if (view->is_cut[KUBE_PODS] || view->is_cut[KUBE_SERVICES])
		return unknown(out, "the cluster has more pods or Services than the control plane holds");
	if (view->is_stale && net_has(view, &destination->ip))
		return unknown(out, "it lies among the addresses of pods, and the API server of the cluster is away");
	return false;
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
