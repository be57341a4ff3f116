#include "sidecar/config_source.h"

#include "base/core/mem.h"
#include "sidecar/identity/control_address.h"
#include "sidecar/identity/workload_address.h"
#include <stdlib.h>

static char *copy_or_null(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : mem_strdup(text);
}

static void spiffe_id_read(struct settings *settings, struct setting_node *map, struct sidecar_config *config)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct why why = {0};
	config->source_spiffe_id = copy_or_null(setting_text(settings, map, "spiffe_id"));
	if (config->source_spiffe_id != NULL &&
		spiffe_id_parse(span_of_str(config->source_spiffe_id), &id, &why) != ERR_NONE)
		setting_error_why(settings, map, "spiffe_id", &why);
}

/* As SPIFFE's clients do, by the specification's variable when the settings have no address. */
static void workload_api_read(
	struct settings *settings, struct setting_node *map, const char *given, struct sidecar_config *config)
{
	const char *address = given != NULL ? given : getenv("SPIFFE_ENDPOINT_SOCKET"), *path;
	struct why why = {0};
	if (workload_address_parse(address == NULL ? "" : address, &path, &why) != ERR_NONE)
		setting_error_why(settings, map, "workload_api_address", &why);
	else
		config->source_socket = mem_strdup(path);
}

/* One name or address with a port. */
static void istio_address_read(
	struct settings *settings, struct setting_node *map, const char *given, struct sidecar_config *config)
{
	struct control_address address = {0};
	char text[ADDR_TEXT_MAX];
	bool is_good = given != NULL && control_address_parse(given, &address, NULL) == ERR_NONE &&
		       address.unix_path == NULL && (address.host != NULL || address.num == 1);
	if (!is_good) {
		setting_error(settings, map, "identity.istio_address, the host and port of the Istio CA",
			"set it, such as istiod.istio-system.svc:15012", "it is '%.128s'", given == NULL ? "" : given);
	} else if (address.host != NULL) {
		config->istio.host = mem_strdup(address.host);
		config->istio.port = address.port;
	} else {
		config->istio.host = mem_strdup(ip_addr_format(&address.own[0].ip, text));
		config->istio.port = address.own[0].port;
	}
	control_address_done(&address);
}

static void istio_read(struct settings *settings, struct setting_node *map, struct sidecar_config *config)
{
	config->istio.server_name = copy_or_null(setting_text(settings, map, "istio_server_name"));
	config->istio.root_file = mem_strdup(setting_path(settings, map, "istio_root_file", SETTING_PATH_MAX));
	config->istio.token_file = mem_strdup(setting_path(settings, map, "istio_token_file", SETTING_PATH_MAX));
	config->istio.cluster = copy_or_null(setting_text(settings, map, "istio_cluster"));
	config->istio.ttl_s = setting_duration_ms(settings, map, "istio_ttl") / 1000;
}

struct source {
	const char *address; /* the key */
	const char *refused; /* "expected" where the key is given for another source */
	const char *no_data; /* "expected" where data for the control plane's attestation are given with it */
	const char *instead; /* "fix" then: what this source goes by */
	void (*read)(
		struct settings *settings, struct setting_node *map, const char *given, struct sidecar_config *config);
};

static const struct source sources[] = {
	[IDENTITY_FROM_WORKLOAD_API] = {"workload_api_address",
		"no workload_api_address without identity.source: workload_api",
		"no attestation data for the control plane with identity.source: workload_api",
		"remove it: the agent at workload_api_address knows the workload by its process", workload_api_read},
	[IDENTITY_FROM_ISTIO_CA] = {"istio_address", "no istio_address without identity.source: istio_ca",
		"no attestation data for the control plane with identity.source: istio_ca",
		"remove it: the Istio CA goes by the service account token for its audience, in istio_token_file",
		istio_address_read},
};

/* With these the control plane attests a sidecar; no other source reads them. */
static void refuse_attestation_data(
	struct settings *settings, struct setting_node *map, const struct sidecar_config *config)
{
	const struct {
		bool is_given;
		const char *got;
	} all[] = {
		{config->token_file != NULL, "token_file is given, a join token of the control plane"},
		{config->kubernetes_token_file != NULL,
			"kubernetes_token_file is given, a service account token for the control plane"},
		{config->x509_certificate_file != NULL,
			"x509_certificate_file is given, a machine certificate for the control plane"},
		{config->unix_peer, "unix_peer is given, by which the control plane on this host knows the process"},
	};
	const struct source *source = &sources[config->source];
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].is_given)
			setting_error(settings, map, source->no_data, source->instead, "%s", all[i].got);
}

void config_source_read(struct settings *settings, struct sidecar_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "identity");
	config->source = (enum identity_source)setting_keyword(settings, map, "source");
	spiffe_id_read(settings, map, config);
	istio_read(settings, map, config);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (sources[i].address == NULL)
			continue;
		const char *given = setting_text(settings, map, sources[i].address);
		if (given != NULL && given[0] == '\0')
			given = NULL;
		if (i == config->source)
			sources[i].read(settings, map, given, config);
		else if (given != NULL)
			setting_error(settings, map, sources[i].refused,
				"set identity.source to the source that this address is of, or remove the address",
				"%s is given", sources[i].address);
	}
	if (config->source != IDENTITY_FROM_CONTROL_PLANE)
		refuse_attestation_data(settings, map, config);
}

void config_source_done(struct sidecar_config *config)
{
	mem_free(config->source_socket);
	mem_free(config->source_spiffe_id);
	mem_free(config->istio.host);
	mem_free(config->istio.server_name);
	mem_free(config->istio.root_file);
	mem_free(config->istio.token_file);
	mem_free(config->istio.cluster);
}
