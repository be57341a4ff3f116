/* The mesh section, services and entries. */
#include "base/core/mem.h"
#include "control/config/config_private.h"
#include <string.h>

static bool address_read(struct settings *settings, struct setting_node *map, struct ip_addr *out)
{
	const char *text = setting_required_text(settings, map, "address", "an IP address");
	if (text[0] == '\0')
		return false;
	if (ip_addr_parse(span_of_str(text), out) == ERR_NONE)
		return true;
	setting_error(settings, map, "an IP address such as 192.0.2.10", "correct it", "the value is '%s'", text);
	return false;
}

static void service_ports_read(struct settings *settings, struct setting_node *map, struct config_service *service)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "ports", &list);
	if (num == 0)
		setting_error(settings, map, "ports: [{port, target}]", "list at least one", "no port is listed");
	service->ports = num == 0 ? NULL : mem_calloc(num, sizeof(*service->ports));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		struct config_service_port *port = &service->ports[service->num_ports++];
		port->port = (uint16_t)setting_number(settings, item, "port");
		port->target = (uint16_t)setting_number_or(settings, item, "target", port->port);
		if (item != NULL && port->port == 0)
			setting_error(settings, item, "a port", "add 'port: 80'", "the port is missing");
		for (size_t j = 0; j < i; j++)
			if (port->port != 0 && service->ports[j].port == port->port)
				setting_error(settings, item, "each port once", "remove one of the two",
					"port %u is given twice", (unsigned)port->port);
	}
}

static void service_read(struct settings *settings, struct setting_node *map, struct config_service *service)
{
	service->name = mem_strdup(setting_required_text(settings, map, "name", "a service's name"));
	address_read(settings, map, &service->address);
	service_ports_read(settings, map, service);
	config_id(settings, map, &service->identity);
}

static bool is_in(const struct network *networks, size_t num, const struct ip_addr *ip)
{
	for (size_t i = 0; i < num; i++)
		if (network_contains(&networks[i], ip))
			return true;
	return false;
}

/* Outside mesh.networks sidecars do not ask discovery, and it would leave in plaintext. */
static void must_be_inside(struct settings *settings, const struct control_config *config, struct setting_node *map,
	const struct ip_addr *ip)
{
	char text[ADDR_TEXT_MAX];
	if (ip->family != 0 && config->num_networks != 0 && !is_in(config->networks, config->num_networks, ip))
		setting_error(settings, map, "an address inside mesh.networks", "add its network to mesh.networks",
			"%s lies outside mesh.networks", ip_addr_format(ip, text));
}

/* Listeners lead to services by name. One with an address of each family is two with one name. */
static void name_must_be_its_own(struct settings *settings, const struct control_config *config,
	struct setting_node *map, const struct config_service *service)
{
	for (const struct config_service *other = config->services; other != service; other++)
		if (service->name[0] != '\0' && strcmp(other->name, service->name) == 0 &&
			other->address.family == service->address.family)
			setting_error(settings, map,
				"a name of its own for each service, or an address of another family",
				"rename one of the two", "two services are named '%s'", service->name);
}

static void services_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, settings_root(settings), "services", &list);
	config->services = num == 0 ? NULL : mem_calloc(num, sizeof(*config->services));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *map = setting_item_map(settings, list, i);
		if (map == NULL)
			continue;
		struct config_service *service = &config->services[config->num_services++];
		service_read(settings, map, service);
		must_be_inside(settings, config, map, &service->address);
		name_must_be_its_own(settings, config, map, service);
		for (size_t j = 0; j + 1 < config->num_services; j++)
			if (service->address.family != 0 && ip_addr_eq(&config->services[j].address, &service->address))
				setting_error(settings, map, "an address of its own for each service",
					"give it another", "the service '%s' has this address",
					config->services[j].name);
	}
}

static void entries_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, settings_root(settings), "entries", &list);
	config->entries = num == 0 ? NULL : mem_calloc(num, sizeof(*config->entries));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *map = setting_item_map(settings, list, i);
		if (map == NULL)
			continue;
		struct config_entry *entry = &config->entries[config->num_entries++];
		address_read(settings, map, &entry->address);
		config_id(settings, map, &entry->identity);
		for (size_t j = 0; j + 1 < config->num_entries; j++)
			if (entry->address.family != 0 && ip_addr_eq(&config->entries[j].address, &entry->address))
				setting_error(settings, map, "one entry for each address", "remove one of the two",
					"another entry has this address");
		entry->is_istio_tls = setting_keyword(settings, map, "transport") == 1;
		must_be_inside(settings, config, map, &entry->address);
	}
}

void config_mesh_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *mesh = setting_map(settings, settings_root(settings), "mesh");
	config->networks = setting_networks(settings, mesh, "networks", &config->num_networks);
	/* Pods have addresses from ranges that are in no list; a cluster's objects decide about all addresses. */
	if (config->networks == NULL && !config->kubernetes.is_enabled)
		setting_error(settings, mesh, "networks such as [192.0.2.0/24]", "list them", "'networks' is missing");
	config->plaintext_networks =
		setting_networks(settings, mesh, "plaintext_networks", &config->num_plaintext_networks);
	config->require_mtls_networks =
		setting_networks(settings, mesh, "require_mtls_networks", &config->num_require_mtls_networks);
	config->claim_grace_ms = setting_duration_ms(settings, mesh, "claim_grace");
	services_read(settings, config);
	entries_read(settings, config);
}

void config_mesh_done(struct control_config *config)
{
	for (size_t i = 0; i < config->num_services; i++) {
		mem_free(config->services[i].name);
		mem_free(config->services[i].ports);
		spiffe_id_done(&config->services[i].identity);
	}
	for (size_t i = 0; i < config->num_entries; i++)
		spiffe_id_done(&config->entries[i].identity);
	mem_free(config->services);
	mem_free(config->entries);
	mem_free(config->networks);
	mem_free(config->plaintext_networks);
	mem_free(config->require_mtls_networks);
}
