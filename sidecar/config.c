#include "sidecar/config.h"

#include "base/core/hex.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/core/zone.h"
#include "base/tls/key_exchange_settings.h"
#include "sidecar/config_listeners.h"
#include "sidecar/config_source.h"
#include "sidecar/identity/control_address.h"
#include <stdio.h>
#include <stdlib.h>

static const struct setting_renamed renamed[] = {
#define RENAMED(old_key, new_key) {old_key, new_key},
#include "sidecar/renamed_settings.def"
#undef RENAMED
	{NULL, NULL},
};

static const struct setting_def rows[] = {
#define SETTING SETTING_DEF
#include "sidecar/settings.def"
#undef SETTING
};

const struct setting_table sidecar_settings = {
	"HANDFAST_SIDECAR", rows, sizeof(rows) / sizeof(rows[0]), renamed, "HANDFAST"};

enum { ONE_IN_MAX = 1000000, SECOND = 1000 };

static char *copy_or_null(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : mem_strdup(text);
}

/* A list, or its words separated by commas. */
static void control_address_read(
	struct settings *settings, struct setting_node *map, bool is_required, struct sidecar_config *config)
{
	struct setting_node *list;
	struct control_address address = {0};
	struct why why = {0};
	size_t num = setting_list(settings, map, "address", &list);
	config->control_address = mem_strdup("");
	for (size_t i = 0; i < num; i++) {
		char *longer = mem_printf(
			"%s%s%s", config->control_address, i == 0 ? "" : ",", setting_item_text(settings, list, i));
		mem_free(config->control_address);
		config->control_address = longer;
	}
	if (num == 0 && is_required)
		setting_missing(settings, map, "address", "control.address, such as 192.0.2.1:15012", "set it");
	else if (num > 0 && control_address_parse(config->control_address, &address, &why) != ERR_NONE)
		setting_error_why(settings, map, "address", &why);
	control_address_done(&address);
}

static void control_read(struct settings *settings, bool is_required, struct sidecar_config *config)
{
	struct setting_node *root = settings_root(settings), *map = setting_map(settings, root, "control");
	struct why why = {0};
	const char *domain = setting_text(settings, root, "trust_domain");
	if (trust_domain_parse(span_of_str(domain), &config->trust_domain, &why) != ERR_NONE)
		setting_error_why(settings, root, "trust_domain", &why);
	control_address_read(settings, map != NULL ? map : root, is_required, config);
	const char *zone = setting_text(settings, root, "zone");
	config->zone = zone == NULL ? 0 : zone_of(span_of_str(zone));
	const char *hash = setting_text(settings, map, "bootstrap_root_sha256");
	config->has_bootstrap_root = hash != NULL;
	if (hash != NULL && !hex_parse(span_of_str(hash), config->bootstrap_root_sha256, 32)) {
		why_set(&why, ERR_CONFIG, "control.bootstrap_root_sha256 of 64 hexadecimal digits, lower case",
			"copy it from `handfast status` of the control plane", "the value is '%s'", hash);
		setting_error_why(settings, map, "bootstrap_root_sha256", &why);
	}
}

static void identity_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *root = settings_root(settings), *map = setting_map(settings, root, "identity");
	config->token_file = copy_or_null(setting_text(settings, map, "token_file"));
	config->kubernetes_token_file = copy_or_null(setting_text(settings, map, "kubernetes_token_file"));
	config->claims_address = setting_bool(settings, map, "claim_address");
	config->keeps_svid = setting_bool(settings, map, "keep_svid");
	config->state_dir = mem_strdup(setting_path(settings, root, "state_dir", SETTING_PATH_MAX));
	config->x509_certificate_file = copy_or_null(setting_text(settings, map, "x509_certificate_file"));
	config->x509_key_file = copy_or_null(setting_text(settings, map, "x509_key_file"));
	bool has_x509 = config->x509_certificate_file != NULL;
	if (has_x509 != (config->x509_key_file != NULL))
		setting_error(settings, map, "x509_certificate_file and x509_key_file together", "set both, or neither",
			"one of them is given");
	config->unix_peer = setting_bool(settings, map, "unix_peer");
	if (config->unix_peer && strncmp(config->control_address, "unix:", 5) != 0)
		setting_error(settings, map, "identity.unix_peer with a control.address that begins with unix:",
			"set control.address to unix: and the path of the control plane's listen.streams_socket",
			"control.address is '%s'", config->control_address);
	if ((config->token_file != NULL) + (config->kubernetes_token_file != NULL) + has_x509 + config->unix_peer > 1)
		setting_error(settings, map, "one kind of attestation data",
			"keep one of token_file, kubernetes_token_file, x509_certificate_file and unix_peer",
			"several are given");
}

static void workload_uid_read(
	struct settings *settings, struct setting_node *map, const char *text, struct sidecar_config *config)
{
	uint64_t uid;
	if (strcmp(text, "any") == 0)
		config->workload_every_user = true;
	else if (number_parse(span_of_str(text), UINT32_MAX - 1, &uid) == ERR_NONE)
		config->workload_uids[config->num_workload_uids++] = (uid_t)uid;
	else
		setting_error(settings, map, "numbers of users, such as 1000, or any",
			"look the number up with `id -u NAME`", "workload_api.uids has '%s'", text);
}

static void workload_api_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "workload_api"), *list;
	config->workload_socket = copy_or_null(setting_text(settings, map, "socket"));
	size_t num = setting_list(settings, map, "uids", &list);
	config->workload_uids = num == 0 ? NULL : mem_calloc(num, sizeof(*config->workload_uids));
	for (size_t i = 0; i < num; i++)
		workload_uid_read(settings, map, setting_item_text(settings, list, i), config);
	if (config->workload_socket != NULL && config->workload_socket[0] != '/')
		setting_error(settings, map, "an absolute path", "begin it with /", "workload_api.socket is '%s'",
			config->workload_socket);
}

static void inbound_ports_read(struct settings *settings, struct setting_node *map, struct sidecar_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "ports", &list);
	config->inbound_ports = num == 0 ? NULL : mem_calloc(num, sizeof(*config->inbound_ports));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		if (item == NULL)
			continue;
		struct policy_port *port = &config->inbound_ports[config->num_inbound_ports++];
		port->port = (uint16_t)setting_number(settings, item, "port");
		port->mode = (enum inbound_mode)setting_keyword(settings, item, "mode");
		if (port->port == 0)
			setting_error(settings, item, "a port", "add 'port: 80'", "the port is missing");
	}
}

static void modes_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *root = settings_root(settings), *in = setting_map(settings, root, "inbound"),
			    *out = setting_map(settings, root, "outbound");
	/* The minimum is the loosest by default: the control plane's mode holds then. */
	config->inbound_mode = (enum inbound_mode)setting_keyword(settings, in, "mode");
	config->outbound_mode = (enum outbound_mode)setting_keyword(settings, out, "mode");
	config->prefers_zone = setting_bool(settings, out, "prefer_zone");
	inbound_ports_read(settings, in, config);
}

static void ports_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "ports");
	config->outbound_port = (uint16_t)setting_number(settings, map, "outbound");
	config->inbound_port = (uint16_t)setting_number(settings, map, "inbound");
	config->tunnel_port = (uint16_t)setting_number(settings, map, "tunnel");
	config->admin_port = (uint16_t)setting_number(settings, map, "admin");
	config->metrics_port = (uint16_t)setting_number(settings, map, "metrics");
	const uint16_t all[] = {config->outbound_port, config->inbound_port, config->tunnel_port, config->admin_port,
		config->metrics_port};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t j = i + 1; j < sizeof(all) / sizeof(all[0]); j++)
			if (all[i] == all[j])
				setting_error(settings, map, "five different ports", "give one of them another",
					"port %u is given twice", all[i]);
}

/* 8 s: a workload that takes 5 s to end is served to its end, and Docker, which kills after 10 s, does not cut us. */
static void drain_read(struct settings *settings, struct setting_node *root, struct sidecar_config *config)
{
	config->drain_ms = setting_duration_ms(settings, root, "drain_deadline");
	config->upgrade_ms = setting_duration_ms(settings, root, "upgrade_deadline");
	config->drain_minimum_ms = setting_duration_ms_at_most(settings, root, "drain_minimum", config->drain_ms);
	if (config->drain_minimum_ms > config->drain_ms)
		setting_error(settings, root, "a drain_minimum of at most drain_deadline",
			"lower drain_minimum or raise drain_deadline",
			"drain_minimum is %llu ms and drain_deadline %llu ms",
			(unsigned long long)config->drain_minimum_ms, (unsigned long long)config->drain_ms);
}

/* Connection tracking forgets a half-closed connection after 60 s by default: probes must come before that. */
static void keepalive_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "keepalive");
	config->keepalive = (struct socket_keepalive){
		.idle_s = (unsigned)(setting_duration_ms(settings, map, "idle") / SECOND),
		.interval_s = (unsigned)(setting_duration_ms(settings, map, "interval") / SECOND),
		.probes = (unsigned)setting_number(settings, map, "probes"),
	};
}

static void limits_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *root = settings_root(settings), *map = setting_map(settings, root, "timeouts"),
			    *limits = setting_map(settings, root, "limits");
	drain_read(settings, root, config);
	config->max_identity_age_ms = setting_duration_ms(settings, root, "max_identity_age");
	config->max_identity_age_grace_ms = setting_duration_ms(settings, root, "max_identity_age_grace");
	config->resolve_ms = setting_duration_ms(settings, map, "resolve");
	config->connect_ms = setting_duration_ms(settings, map, "connect");
	config->handshake_ms = setting_duration_ms(settings, map, "handshake");
	config->idle_ms = setting_duration_ms(settings, map, "idle");
	config->plaintext_idle_ms = setting_duration_ms(settings, map, "plaintext_idle");
	config->max_tunnels = setting_number(settings, limits, "max_tunnels");
	config->max_per_source = setting_number(settings, limits, "per_source");
	config->max_per_identity = setting_number(settings, limits, "per_identity");
	config->max_per_endpoint = setting_number(settings, limits, "per_endpoint");
	config->max_connections = setting_number(settings, limits, "max_connections");
	config->flow_control_memory = setting_bytes(settings, limits, "flow_control_memory");
	config->workers = (unsigned)setting_number(settings, root, "workers");
	config->admin_socket = mem_strdup(setting_path(settings, root, "admin_socket", SETTING_SOCKET_MAX));
}

/* off, failures, all, or 1/N. */
static void access_log_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *root = settings_root(settings);
	const char *text = setting_text(settings, root, "access_log");
	static const struct {
		const char *word;
		enum access_log_mode mode;
	} words[] = {{"off", ACCESS_LOG_OFF}, {"failures", ACCESS_LOG_FAILURES}, {"all", ACCESS_LOG_ALL}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i].word) == 0) {
			config->access_log = words[i].mode;
			return;
		}
	uint64_t one_in = 0;
	if (strncmp(text, "1/", 2) != 0 || number_parse(span_of_str(text + 2), ONE_IN_MAX, &one_in) != ERR_NONE ||
		one_in < 1) {
		struct why why = {0};
		why_set(&why, ERR_CONFIG, "access_log: off, failures, all, or 1/N with N up to 1000000",
			"choose one of them", "the value is '%s'", text);
		setting_error_why(settings, root, "access_log", &why);
		return;
	}
	config->access_log = ACCESS_LOG_SAMPLED;
	config->access_log_one_in = (unsigned)one_in;
}

static bool has_probe(const struct sidecar_config *config, const char *name)
{
	for (size_t i = 0; i < config->num_probes; i++)
		if (strcmp(config->probes[i].name, name) == 0)
			return true;
	return false;
}

static void probe_read(
	struct settings *settings, struct setting_node *root, const char *text, struct sidecar_config *config)
{
	struct probe_spec probe;
	struct why why = {0};
	if (probe_spec_parse(text, &probe, &why) != ERR_NONE) {
		setting_error_why(settings, root, "probes", &why);
		return;
	}
	if (has_probe(config, probe.name))
		setting_error(settings, root, "each probe once", "remove one of them", "the probe %s is given twice",
			probe.name);
	config->probes[config->num_probes++] = probe;
}

static void probes_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *root = settings_root(settings), *list;
	size_t num = setting_list(settings, root, "probes", &list);
	if (num > PROBES_MAX) {
		setting_error(settings, root, "at most 256 probes", "remove some", "there are %zu probes", num);
		return;
	}
	config->probes = num == 0 ? NULL : mem_calloc(num, sizeof config->probes[0]);
	for (size_t i = 0; i < num; i++)
		probe_read(settings, root, setting_item_text(settings, list, i), config);
}

static void log_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "log");
	config->log_level = setting_keyword(settings, map, "level");
	config->log_json = setting_keyword(settings, map, "format") == 1;
}

static enum err config_read(struct settings *settings, bool needs_control_plane, struct sidecar_config **out)
{
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = mem_new(struct sidecar_config);
	control_read(settings, needs_control_plane, config);
	identity_read(settings, config);
	config_source_read(settings, config);
	workload_api_read(settings, config);
	modes_read(settings, config);
	ports_read(settings, config);
	config_listeners_read(settings, config);
	limits_read(settings, config);
	keepalive_read(settings, config);
	config->key_exchanges = key_exchange_list_read(settings);
	access_log_read(settings, config);
	probes_read(settings, config);
	log_read(settings, config);
	if (settings_finish(settings) != 0)
		return ERR_CONFIG;
	config->record = settings_take_record(settings);
	*out = TAKE_PTR(config);
	return ERR_NONE;
}

enum err sidecar_config_read(struct settings *settings, struct sidecar_config **out)
{
	return config_read(settings, true, out);
}

enum err sidecar_config_read_for_command(struct settings *settings, struct sidecar_config **out)
{
	return config_read(settings, false, out);
}

void sidecar_config_free(struct sidecar_config *config)
{
	mem_free(config->control_address);
	mem_free(config->token_file);
	mem_free(config->kubernetes_token_file);
	config_source_done(config);
	mem_free(config->x509_certificate_file);
	mem_free(config->x509_key_file);
	mem_free(config->state_dir);
	mem_free(config->admin_socket);
	mem_free(config->workload_socket);
	mem_free(config->workload_uids);
	mem_free(config->inbound_ports);
	for (size_t i = 0; i < config->num_probes; i++)
		probe_spec_done(&config->probes[i]);
	mem_free(config->probes);
	settings_record_free(config->record);
	mem_free(config);
}

struct policy *sidecar_config_minimum(const struct sidecar_config *config)
{
	struct policy *minimum = policy_new(&config->trust_domain, config->inbound_mode);
	for (size_t i = 0; i < config->num_inbound_ports; i++)
		policy_set_port_mode(minimum, config->inbound_ports[i].port, config->inbound_ports[i].mode);
	return minimum;
}
