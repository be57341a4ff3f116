#include "sidecar/config_listeners.h"

#include "base/core/check.h"
#include <stdio.h>
#include <string.h>

/* The setting that has this port; NULL: none. */
static const char *own_port_name(const struct sidecar_config *config, uint16_t port)
{
	bool intercepts = config->interception != INTERCEPTION_NONE;
	const struct {
		const char *name;
		uint16_t port;
	} own[] = {{"ports.outbound", intercepts ? config->outbound_port : 0},
		{"ports.inbound", intercepts ? config->inbound_port : 0}, {"ports.tunnel", config->tunnel_port},
		{"ports.admin", config->admin_port}, {"ports.metrics", config->metrics_port}};
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (own[i].port != 0 && own[i].port == port)
			return own[i].name;
	return NULL;
}

static void no_own_port(
	struct settings *settings, struct setting_node *item, const struct sidecar_config *config, uint16_t port)
{
	const char *name = own_port_name(config, port);
	if (name != NULL)
		setting_error(settings, item, "a port that the sidecar does not use itself",
			"choose another, or move the setting named here", "%u is %s", (unsigned)port, name);
}

/* False, with an error: it is no address with a port. "": missing, which has its error. */
static bool address_parse(struct settings *settings, struct setting_node *item, const char *key, const char *expected,
	const char *text, struct addr *out)
{
	struct why why = {0};
	if (text[0] == '\0')
		return false;
	if (addr_parse(span_of_str(text), out) == ERR_NONE && out->port != 0)
		return true;
	why_set(&why, ERR_CONFIG, expected, "write an IP address and a port, an IPv6 address in brackets",
		"the value is '%s'", text);
	setting_error_why(settings, item, key, &why);
	return false;
}

static bool address_read(
	struct settings *settings, struct setting_node *item, const char *key, const char *expected, struct addr *out)
{
	return address_parse(settings, item, key, expected, setting_required_text(settings, item, key, expected), out);
}

static bool is_elsewhere(const struct addr *to)
{
	return !ip_addr_is_loopback(&to->ip) && !ip_addr_is_unspecified(&to->ip);
}

static void judge_outbound(struct settings *settings, struct setting_node *item, const struct sidecar_config *config,
	const struct outbound_listener *given)
{
	char text[ADDR_TEXT_MAX];
	const struct listeners *all = &config->listeners;
	/* A program that connects there acts as this workload: no other host may. */
	if (!ip_addr_is_loopback(&given->at.ip))
		setting_error(settings, item, "a loopback address to listen on, such as 127.0.0.1:5432",
			"use 127.0.0.1 or [::1]: who connects there uses this workload's identity",
			"other hosts could reach %s", addr_format(&given->at, text));
	if (given->service[0] == '\0' && !is_elsewhere(&given->to))
		setting_error(settings, item, "a destination in the mesh, such as 192.0.2.3:5432",
			"name the address of the service or of the other workload", "'to' is %s, which is this host",
			addr_format(&given->to, text));
	no_own_port(settings, item, config, given->at.port);
	for (size_t i = 0; i < all->num_outbound; i++)
		if (addr_eq(&all->outbound[i].at, &given->at))
			setting_error(settings, item, "an address of its own for each listener", "give it another port",
				"%s is listened on twice", addr_format(&given->at, text));
}

/* False, with an error: it is no name of a service, or there is an address as well. */
static bool service_read(struct settings *settings, struct setting_node *item, struct outbound_listener *given)
{
	const char *name = setting_text(settings, item, "service");
	bool is_name = name[0] != '\0' && strlen(name) <= LISTENER_SERVICE_MAX;
	bool has_address = setting_text(settings, item, "to") != NULL;
	struct why why = {0};
	uint64_t port = setting_number(settings, item, "port");
	given->to = (struct addr){.port = port != 0 ? (uint16_t)port : given->at.port};
	if (has_address)
		setting_error(settings, item, "one of 'service' and 'to'", "remove one of the two", "both are set");
	if (!is_name) {
		why_set(&why, ERR_CONFIG, "the name of a service, of 1 to 253 bytes",
			"write it as the control plane has it", "the name has %zu bytes", strlen(name));
		setting_error_why(settings, item, "service", &why);
	}
	if (is_name && !has_address)
		snprintf(given->service, sizeof(given->service), "%s", name);
	return is_name && !has_address;
}

static bool target_read(struct settings *settings, struct setting_node *item, struct outbound_listener *given)
{
	static const char expected[] = "a destination such as 192.0.2.3:5432, or 'service'";
	const char *to = setting_text(settings, item, "to");
	if (setting_text(settings, item, "service") != NULL)
		return service_read(settings, item, given);
	if (setting_number(settings, item, "port") != 0)
		setting_error(settings, item, "'service' with 'port'", "write the port into 'to', behind a colon",
			"'port' is set without 'service'");
	if (to == NULL)
		setting_missing(settings, item, "to", expected, "add 'to: 192.0.2.3:5432' or 'service: NAME'");
	return to != NULL && address_parse(settings, item, "to", expected, to, &given->to);
}

static void outbound_read(struct settings *settings, struct setting_node *item, struct sidecar_config *config)
{
	struct outbound_listener given = {.at = {.port = 0}};
	bool has_at = address_read(settings, item, "listen", "an address such as 127.0.0.1:5432", &given.at);
	bool has_to = target_read(settings, item, &given);
	if (!has_at || !has_to)
		return;
	judge_outbound(settings, item, config, &given);
	config->listeners.outbound[config->listeners.num_outbound++] = given;
}

static void judge_target(struct settings *settings, struct setting_node *item, const struct sidecar_config *config,
	const struct inbound_listener *given)
{
	char text[ADDR_TEXT_MAX];
	const char *name = own_port_name(config, given->to.port);
	if (!ip_addr_is_loopback(&given->to.ip))
		setting_error(settings, item, "a loopback address to lead to, such as 127.0.0.1:8080",
			"bind the workload to 127.0.0.1 or [::1]: elsewhere it is reached without the sidecar",
			"'to' is %s", addr_format(&given->to, text));
	if (name != NULL) /* peers would read the admin pages, or come back in */
		setting_error(settings, item, "a port of the workload to lead to", "name the workload's own port",
			"'to' is %s, which is %s", addr_format(&given->to, text), name);
	for (size_t i = 0; i < config->listeners.num_outbound; i++)
		if (addr_eq(&config->listeners.outbound[i].at, &given->to)) /* peers would act as this workload */
			setting_error(settings, item, "a port of the workload to lead to",
				"name the workload's own port", "'to' is %s, an outbound listener",
				addr_format(&given->to, text));
}

/* The sidecar listens on all addresses of that port itself. */
static void judge_mtls(struct settings *settings, struct setting_node *item, const struct sidecar_config *config,
	const struct inbound_listener *given)
{
	bool is_taken = given->to.port == given->port;
	for (size_t i = 0; i < config->listeners.num_outbound; i++)
		is_taken = is_taken || config->listeners.outbound[i].at.port == given->port;
	if (is_taken)
		setting_error(settings, item, "a port with mtls that nothing else listens on",
			"let the workload, or the outbound listener, listen on another port",
			"port %u has two listeners", (unsigned)given->port);
}

static void judge_inbound(struct settings *settings, struct setting_node *item, const struct sidecar_config *config,
	const struct inbound_listener *given)
{
	if (listeners_inbound(&config->listeners, given->port) != NULL)
		setting_error(settings, item, "each port once", "remove one of the two", "port %u is given twice",
			(unsigned)given->port);
	no_own_port(settings, item, config, given->port);
	judge_target(settings, item, config, given);
	if (given->takes_mtls)
		judge_mtls(settings, item, config, given);
}

static void inbound_read(struct settings *settings, struct setting_node *item, struct sidecar_config *config)
{
	struct inbound_listener given = {.port = (uint16_t)setting_number(settings, item, "port")};
	bool has_to = address_read(settings, item, "to", "an address of this host such as 127.0.0.1:8080", &given.to);
	if (given.port == 0)
		setting_missing(settings, item, "port", "the port that callers dial", "add 'port: 8443'");
	given.takes_mtls = setting_bool(settings, item, "mtls");
	if (given.port == 0 || !has_to)
		return;
	judge_inbound(settings, item, config, &given);
	config->listeners.inbound[config->listeners.num_inbound++] = given;
}

typedef void read_fn(struct settings *settings, struct setting_node *item, struct sidecar_config *config);

static void each(struct settings *settings, struct setting_node *map, const char *key, read_fn *read,
	struct sidecar_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, key, &list);
	if (num > LISTENERS_MAX) {
		setting_error(settings, map, "at most 64 listeners", "remove some", "there are %zu", num);
		return;
	}
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		if (item != NULL)
			read(settings, item, config);
	}
}

static void announced_read(struct settings *settings, struct setting_node *map, struct sidecar_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "proxy_protocol", &list);
	if (num > LISTENERS_MAX) {
		setting_error(settings, map, "at most 64 ports in proxy_protocol", "remove some", "there are %zu", num);
		return;
	}
	for (size_t i = 0; i < num; i++)
		config->listeners.announced[config->listeners.num_announced++] =
			(uint16_t)setting_item_number(settings, list, i);
}

void config_listeners_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *root = settings_root(settings), *map = setting_map(settings, root, "listeners");
	CHECK(config->tunnel_port != 0);
	config->interception = (enum interception)setting_keyword(settings, root, "interception");
	each(settings, map, "outbound", outbound_read, config);
	each(settings, map, "inbound", inbound_read, config);
	announced_read(settings, setting_map(settings, root, "inbound"), config);
}
