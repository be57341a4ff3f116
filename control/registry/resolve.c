/* What a destination is. Absence never becomes plaintext: an answer is plaintext only by the operator's settings. */
#include "base/core/check.h"
#include "control/registry/registry_private.h"
#include <stdio.h>
#include <string.h>

static bool networks_have(const struct network *networks, size_t num, const struct ip_addr *ip)
{
	for (size_t i = 0; i < num; i++)
		if (network_contains(&networks[i], ip))
			return true;
	return false;
}

static bool has_room(const struct resolution *out)
{
	return out->num_endpoints + out->num_draining < RESOLUTION_ENDPOINTS_MAX;
}

static void endpoint_add(struct resolution *out, const struct resolved_endpoint *endpoint)
{
	if (!has_room(out)) {
		out->is_cut = true;
		return;
	}
	CHECK(out->num_draining == 0); /* draining endpoints follow the others: none is added after them */
	out->endpoints[out->num_endpoints++] = *endpoint;
}

/* The addresses of one identity and one family that have this presence. */
struct selection {
	const struct member *member;
	enum presence presence;
	uint8_t family;
	uint16_t port;
};

static void gather_one(const struct selection *selection, const struct place *place, struct resolution *out)
{
	if (place->ip.family == selection->family && registry_presence(place) == selection->presence)
		endpoint_add(out, &(struct resolved_endpoint){.address = {.ip = place->ip, .port = selection->port},
					  .id = &selection->member->id,
					  .zones = {registry_zone(place)},
					  .is_istio_tls = place->entry != NULL && place->entry->is_istio_tls});
}

static void gather(const struct selection *selection, struct resolution *out)
{
	LIST_EACH(&selection->member->entries, const struct place, at, of_entries)
		gather_one(selection, at, out);
	LIST_EACH(&selection->member->claims, const struct claim, claim, link) {
		if (out->is_cut)
			break;
		if (claim->place->entry == NULL)
			gather_one(selection, claim->place, out);
	}
}

/* The live addresses of the identity, followed by those that drain, which still serve. Without a live address the
 * draining ones are the endpoints, and without those the addresses that are away. */
static void identity_endpoints(const struct registry *registry, const struct config_service *service, uint16_t port,
	uint8_t family, struct resolution *out)
{
	struct selection selection = {.member = registry_member(registry, &service->identity),
		.presence = PRESENCE_LIVE,
		.family = family,
		.port = port};
	gather(&selection, out);
	size_t num_live = out->num_endpoints;
	selection.presence = PRESENCE_DRAINING;
	gather(&selection, out);
	if (num_live > 0) {
		out->num_draining = out->num_endpoints - num_live;
		out->num_endpoints = num_live;
	}
	selection.presence = PRESENCE_AWAY;
	if (out->num_endpoints == 0)
		gather(&selection, out);
}

static void resolve_service(const struct registry *registry, const struct config_service *service,
	const struct addr *destination, struct resolution *out)
{
	out->service = service->name;
	for (size_t i = 0; i < service->num_ports; i++)
		if (service->ports[i].port == destination->port) {
			out->kind = RESOLVED_MESHED;
			identity_endpoints(registry, service, service->ports[i].target, destination->ip.family, out);
			return;
		}
	out->kind = RESOLVED_UNKNOWN;
	snprintf(out->reason, sizeof(out->reason), "service %.80s has no port %u", service->name, destination->port);
}

static bool resolve_settings(const struct registry *registry, const struct place *place, const struct addr *destination,
	struct resolution *out)
{
	if (place != NULL && place->service != NULL) {
		resolve_service(registry, place->service, destination, out);
		return true;
	}
	if (place == NULL || place->entry == NULL)
		return false;
	out->kind = RESOLVED_MESHED;
	endpoint_add(out, &(struct resolved_endpoint){.address = *destination,
				  .id = &place->entry->identity,
				  .is_istio_tls = place->entry->is_istio_tls});
	return true;
}

static void plain(struct resolution *out, const char *reason)
{
	out->kind = RESOLVED_PLAIN;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
}

bool registry_is_inside(const struct registry *registry, const struct ip_addr *ip)
{
	const struct control_config *config = registry->config;
	return config->num_networks == 0 || networks_have(config->networks, config->num_networks, ip);
}

static bool resolve_source(const struct registry *registry, const struct addr *destination, struct resolution *out)
{
	return registry->source.resolve != NULL && registry->source.resolve(registry->source.arg, destination, out);
}

static bool resolve_claim(const struct claim *claim, const struct addr *destination, struct resolution *out)
{
	bool has_endpoint = out->kind == RESOLVED_MESHED && out->num_endpoints > 0;
	if (claim == NULL || claim->has_ended || has_endpoint || out->kind == RESOLVED_PLAIN)
		return false;
	*out = (struct resolution){.kind = RESOLVED_MESHED};
	endpoint_add(out, &(struct resolved_endpoint){.address = *destination, .id = &claim->id});
	return true;
}

void registry_resolve(struct registry *registry, const struct addr *destination, struct resolution *out)
{
	const struct control_config *config = registry->config;
	const struct place *place = registry_place(registry, &destination->ip);
	const struct claim *claim = place == NULL ? NULL : place->claim;
	registry->num_resolutions++;
	*out = (struct resolution){.kind = RESOLVED_UNKNOWN};
	if (!registry_is_inside(registry, &destination->ip)) {
		plain(out, "it is outside mesh.networks");
		return;
	}
	if (resolve_settings(registry, place, destination, out))
		return;
	if (networks_have(config->plaintext_networks, config->num_plaintext_networks, &destination->ip)) {
		plain(out, "it is in mesh.plaintext_networks");
		return;
	}
	bool is_known = resolve_source(registry, destination, out);
	if (resolve_claim(claim, destination, out) || is_known)
		return;
	if (claim != NULL)
		snprintf(out->reason, sizeof(out->reason), "its sidecar has been away longer than mesh.claim_grace");
	else if (config->num_networks == 0)
		plain(out, "no pod and no Service of this cluster has it");
	else
		snprintf(out->reason, sizeof(out->reason), "no sidecar claims it");
}

bool registry_service_address(const struct registry *registry, const char *name, struct ip_addr *out)
{
	const struct registry_source *source = &registry->source;
	const struct config_service *service = registry_service_named(registry, name);
	if (service != NULL) {
		*out = service->address;
		return true;
	}
	return source->service_address != NULL && source->service_address(source->arg, name, out);
}

uint32_t registry_host_zone(const struct registry *registry, const struct ip_addr *ip)
{
	const struct registry_source *source = &registry->source;
	return source->zone == NULL ? 0 : source->zone(source->arg, ip);
}
