/* What a destination is. Absence never becomes plaintext: only the operator's word makes an answer plain. */
#include "control/registry/registry_private.h"
#include <stdio.h>

bool networks_have(const struct network *networks, size_t num, const struct ip_addr *ip)
{
	for (size_t i = 0; i < num; i++)
		if (network_contains(&networks[i], ip))
			return true;
	return false;
}

static void endpoint_add(struct resolution *out, const struct ip_addr *ip, uint16_t port, const struct spiffe_id *id)
{
	if (out->num_endpoints == RESOLUTION_ENDPOINTS_MAX)
		return;
	out->endpoints[out->num_endpoints].address = (struct addr){.ip = *ip, .port = port};
	out->endpoints[out->num_endpoints].id = id;
	out->num_endpoints++;
}

struct gathering {
	struct resolution *out;
	const struct spiffe_id *id;
	uint16_t port;
	bool live_only;
	uint8_t family;
};

static void gather(void *arg, const struct ip_addr *ip, const struct spiffe_id *id, bool is_live, bool has_ended)
{
	struct gathering *gathering = arg;
	if (has_ended || !spiffe_id_eq(id, gathering->id) || (gathering->live_only && !is_live) ||
		ip->family != gathering->family)
		return;
	endpoint_add(gathering->out, ip, gathering->port, id);
}

/* The identity's live addresses; where no stream stands (just after a restart) all that it holds. */
static void identity_endpoints(const struct registry *registry, const struct spiffe_id *id, uint16_t port,
	uint8_t family, struct resolution *out)
{
	const struct control_config *config = registry->config;
	struct gathering gathering = {.out = out, .id = id, .port = port, .live_only = true, .family = family};
	for (size_t i = 0; i < config->num_entries; i++)
		if (spiffe_id_eq(&config->entries[i].identity, id) && config->entries[i].address.family == family)
			endpoint_add(out, &config->entries[i].address, port, &config->entries[i].identity);
	registry_each_claim(registry, gather, &gathering);
	gathering.live_only = false;
	if (out->num_endpoints == 0)
		registry_each_claim(registry, gather, &gathering);
}

static void resolve_service(const struct registry *registry, const struct config_service *service,
	const struct addr *destination, struct resolution *out)
{
	out->service = service->name;
	for (size_t i = 0; i < service->num_ports; i++)
		if (service->ports[i].port == destination->port) {
			out->kind = RESOLVED_MESHED;
			identity_endpoints(
				registry, &service->identity, service->ports[i].target, destination->ip.family, out);
			return;
		}
	out->kind = RESOLVED_UNKNOWN;
	snprintf(out->because, sizeof(out->because), "service %.80s has no port %u", service->name, destination->port);
}

static bool resolve_settings(const struct registry *registry, const struct addr *destination, struct resolution *out)
{
	const struct control_config *config = registry->config;
	for (size_t i = 0; i < config->num_services; i++)
		if (ip_addr_eq(&config->services[i].address, &destination->ip)) {
			resolve_service(registry, &config->services[i], destination, out);
			return true;
		}
	for (size_t i = 0; i < config->num_entries; i++)
		if (ip_addr_eq(&config->entries[i].address, &destination->ip)) {
			out->kind = RESOLVED_MESHED;
			endpoint_add(out, &destination->ip, destination->port, &config->entries[i].identity);
			return true;
		}
	return false;
}

static void plain(struct resolution *out, const char *because)
{
	out->kind = RESOLVED_PLAIN;
	snprintf(out->because, sizeof(out->because), "%s", because);
}

void registry_resolve(const struct registry *registry, const struct addr *destination, struct resolution *out)
{
	const struct control_config *config = registry->config;
	const struct claim *claim = registry_find(registry, &destination->ip);
	*out = (struct resolution){.kind = RESOLVED_UNKNOWN};
	if (!networks_have(config->networks, config->num_networks, &destination->ip))
		plain(out, "it is outside mesh.networks");
	else if (resolve_settings(registry, destination, out))
		return;
	else if (networks_have(config->plain, config->num_plain, &destination->ip))
		plain(out, "mesh.plain says so");
	else if (claim != NULL && !claim->has_ended) {
		out->kind = RESOLVED_MESHED;
		endpoint_add(out, &destination->ip, destination->port, &claim->id);
	} else
		snprintf(out->because, sizeof(out->because), "%s",
			claim == NULL ? "no sidecar has ever claimed it"
				      : "its sidecar has been away longer than mesh.claim_grace");
}
