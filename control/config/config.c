#include "control/config/config.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/tls/key_exchange_settings.h"
#include "control/config/config_private.h"
#include "control/state_folder.h"

enum { AUDIENCE_MAX = 253, CRL_FILES_MAX = 8 /* of control/serve/crl_files.h */ };

static const struct setting_renamed renamed[] = {
#define RENAMED(old_key, new_key) {old_key, new_key},
#include "control/config/renamed_settings.def"
#undef RENAMED
	{NULL, NULL},
};

static const struct setting_def rows[] = {
#define SETTING SETTING_DEF
#include "control/config/settings.def"
#undef SETTING
};

const struct setting_table control_settings = {"HANDFAST_CONTROL", rows, sizeof(rows) / sizeof(rows[0]), renamed};

bool config_id(struct settings *settings, struct setting_node *map, struct spiffe_id *out)
{
	struct why why = {0};
	const char *text = setting_required_text(
		settings, map, "identity", "a SPIFFE ID such as spiffe://cluster.local/ns/default/sa/web");
	if (text[0] == '\0')
		return false;
	if (spiffe_id_parse(span_of_str(text), out, &why) == ERR_NONE)
		return true;
	setting_error_why(settings, map, "identity", &why);
	return false;
}

/* The network process may write where its socket lies, and must not reach the signer's keys below the state folder.
 * Texts alone: what links make of them is seen when both folders are there. */
static void socket_is_beside_state(struct settings *settings, const struct control_config *config)
{
	_cleanup_(mem_freep) char *keys = mem_printf("%s/keys", config->state_dir);
	_cleanup_(mem_freep) char *folder = folder_of(config->operator_socket);
	struct why why = {0};
	if (!folder_lies_in(keys, folder) && !folder_lies_in(folder, keys))
		return;
	(void)why_set(&why, ERR_CONFIG, "operator_socket in a folder that is neither state_dir nor above it",
		"move it, such as to /run/handfast/control.sock", "operator_socket is '%s' with state_dir '%s'",
		config->operator_socket, config->state_dir);
	setting_error_why(settings, settings_root(settings), "operator_socket", &why);
}

/* Its folder lies beside the keys, as that of operator_socket: control.c checks it with links resolved. */
static char *streams_socket_read(struct settings *settings, struct setting_node *ears)
{
	const char *path = setting_text(settings, ears, "streams_socket");
	if (path == NULL)
		return NULL;
	if (path[0] != '/' || strlen(path) > SETTING_SOCKET_MAX)
		setting_error(settings, ears, "an absolute path of at most 107 bytes", "correct streams_socket",
			"streams_socket is '%s'", path);
	return mem_strdup(path);
}

static void general_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *root = settings_root(settings);
	struct why why = {0};
	const char *domain = setting_text(settings, root, "trust_domain");
	if (trust_domain_parse(span_of_str(domain), &config->trust_domain, &why) != ERR_NONE)
		setting_error_why(settings, root, "trust_domain", &why);
	config->state_dir = mem_strdup(setting_path(settings, root, "state_dir", SETTING_PATH_MAX));
	config->operator_socket = mem_strdup(setting_path(settings, root, "operator_socket", SETTING_SOCKET_MAX));
	socket_is_beside_state(settings, config);
	struct setting_node *ears = setting_map(settings, root, "listen");
	config->streams_port = (uint16_t)setting_number(settings, ears, "streams_port");
	config->metrics_port = (uint16_t)setting_number(settings, ears, "metrics_port");
	config->streams_socket = streams_socket_read(settings, ears);
	if (config->streams_port == config->metrics_port)
		setting_error(settings, ears, "two different ports", "change streams_port or metrics_port",
			"streams_port and metrics_port are the same");
	struct setting_node *log = setting_map(settings, root, "log");
	config->log_level = setting_keyword(settings, log, "level");
	config->log_json = setting_keyword(settings, log, "format") == 1;
}

static char *copy_of(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : mem_strdup(text);
}

static void crl_files_read(struct settings *settings, struct setting_node *map, struct control_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "crl_files", &list);
	if (num > CRL_FILES_MAX) {
		setting_error(settings, map, "at most 8 files in crl_files", "join the lists at their authority",
			"there are %zu", num);
		return;
	}
	config->crl_files = num == 0 ? NULL : mem_calloc(num, sizeof(*config->crl_files));
	for (size_t i = 0; i < num; i++)
		config->crl_files[config->num_crl_files++] = mem_strdup(setting_item_text(settings, list, i));
}

static void identity_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "identity");
	config->leaf_ttl_ms = setting_duration_ms(settings, map, "leaf_ttl");
	config->intermediate_ttl_ms = setting_duration_ms(settings, map, "intermediate_ttl");
	config->root_ttl_ms = setting_duration_ms(settings, map, "root_ttl");
	config->root_rotate_before_ms = setting_duration_ms(settings, map, "root_rotate_before");
	config->attest_per_second = setting_number(settings, map, "attest_per_second");
	config->forget_after_ms = setting_duration_ms(settings, map, "forget_after");
	crl_files_read(settings, map, config);
	config->other_roots_file = copy_of(setting_text(settings, map, "other_roots_file"));
	if (config->leaf_ttl_ms >= config->intermediate_ttl_ms || config->intermediate_ttl_ms >= config->root_ttl_ms)
		setting_error(settings, map, "lifetimes with leaf_ttl < intermediate_ttl < root_ttl",
			"lengthen the longer ones", "the lifetimes are in another order");
	config_ca_read(settings, map, config);
}

static void limits_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "limits");
	config->max_connections = setting_number(settings, map, "max_connections");
	config->max_handshakes = setting_number(settings, map, "max_handshakes");
}

/* It becomes part of JSON and of log lines as it is. */
static bool is_audience(const char *text)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			return false;
	return len > 0 && len <= AUDIENCE_MAX;
}

static bool is_port_of_listen(const struct control_config *config, uint16_t port)
{
	return port == config->streams_port || port == config->metrics_port;
}

static void injection_read(struct settings *settings, struct setting_node *map, struct control_config *config)
{
	config->kubernetes.namespace_ = copy_of(setting_text(settings, map, "namespace"));
	config->kubernetes.webhook_port = (uint16_t)setting_number(settings, map, "webhook_port");
	config->kubernetes.operator_port = (uint16_t)setting_number(settings, map, "operator_port");
	config->kubernetes.sidecar_image = copy_of(setting_text(settings, map, "sidecar_image"));
	config->kubernetes.init_image = copy_of(setting_text(settings, map, "init_image"));
	config->kubernetes.keeps_source = setting_keyword(settings, map, "interception") == 1;
	config->kubernetes.has_cni = setting_bool(settings, map, "cni");
	config->kubernetes.takes_istio = setting_bool(settings, map, "istio");
	if (config->kubernetes.sidecar_image != NULL && config->kubernetes.init_image == NULL &&
		!config->kubernetes.has_cni)
		setting_error(settings, map, "kubernetes.init_image beside kubernetes.sidecar_image",
			"set kubernetes.init_image, or kubernetes.cni where the CNI plugin is installed",
			"kubernetes.sidecar_image is given and kubernetes.init_image is not");
	if (!config->kubernetes.is_enabled)
		return;
	if (is_port_of_listen(config, config->kubernetes.webhook_port))
		setting_error(settings, map, "a port of its own for the webhook", "change kubernetes.webhook_port",
			"kubernetes.webhook_port is one of listen's ports");
	if (is_port_of_listen(config, config->kubernetes.operator_port) ||
		config->kubernetes.operator_port == config->kubernetes.webhook_port)
		setting_error(settings, map, "a port of its own for operators", "change kubernetes.operator_port",
			"kubernetes.operator_port is also the port of something else");
}

static void kubernetes_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "kubernetes");
	config->kubernetes.is_enabled = setting_bool(settings, map, "enabled");
	const char *kubeconfig = setting_text(settings, map, "kubeconfig");
	config->kubernetes.kubeconfig = kubeconfig == NULL ? NULL : mem_strdup(kubeconfig);
	const char *audience = setting_text(settings, map, "audience");
	config->kubernetes.audience = mem_strdup(audience);
	if (!is_audience(audience))
		setting_error(settings, map,
			"kubernetes.audience of 1 to 253 printable bytes without space, quote and backslash",
			"set it to the audience of the sidecars' projected tokens", "the value is '%s'", audience);
	if (kubeconfig != NULL && !config->kubernetes.is_enabled)
		setting_error(settings, map, "kubernetes.kubeconfig with kubernetes.enabled alone",
			"set kubernetes.enabled to true, or remove kubernetes.kubeconfig",
			"kubernetes.kubeconfig is given and kubernetes.enabled is false");
	injection_read(settings, map, config);
}

/* In Kubernetes 15016 is the port of operators' commands by default, which takes root alone and no token (decision
 * 095). */
static void page_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "page");
	config->page.token_file = copy_of(setting_text(settings, map, "token_file"));
	config->page.port = (uint16_t)setting_number(settings, map, "port");
	bool is_taken =
		is_port_of_listen(config, config->page.port) ||
		(config->kubernetes.is_enabled && (config->page.port == config->kubernetes.operator_port ||
							  config->page.port == config->kubernetes.webhook_port));
	if (config->page.token_file != NULL && is_taken)
		setting_error(settings, map, "a port of its own for the page", "change page.port, such as to 15018",
			"page.port is also the port of something else");
}

/* What the other folders rely on; settings without errors have it. */
static void check_whole(const struct control_config *config)
{
	CHECK(config->trust_domain.name[0] != '\0');
	CHECK(config->leaf_ttl_ms < config->intermediate_ttl_ms && config->intermediate_ttl_ms < config->root_ttl_ms);
	CHECK(config->streams_port != 0 && config->streams_port != config->metrics_port);
	for (size_t i = 0; i < config->num_services; i++)
		CHECK(config->services[i].num_ports > 0 && config->services[i].address.family != 0 &&
			config->services[i].identity.text != NULL);
	for (size_t i = 0; i < config->num_entries; i++)
		CHECK(config->entries[i].address.family != 0 && config->entries[i].identity.text != NULL);
	config_policy_check(config);
}

enum err control_config_read(struct settings *settings, struct control_config **out)
{
	_cleanup_(control_config_freep) struct control_config *config = mem_new(struct control_config);
	general_read(settings, config);
	identity_read(settings, config);
	limits_read(settings, config);
	config->key_exchanges = key_exchange_list_read(settings);
	kubernetes_read(settings, config);
	page_read(settings, config);
	config_etcd_read(settings, config);
	config_federation_read(settings, config);
	config_mesh_read(settings, config);
	config_attestation_read(settings, config);
	config_policy_read(settings, config);
	if (settings_finish(settings) != 0)
		return ERR_CONFIG;
	check_whole(config);
	config->record = settings_take_record(settings);
	*out = TAKE_PTR(config);
	return ERR_NONE;
}

void control_config_free(struct control_config *config)
{
	config_mesh_done(config);
	config_attestation_done(config);
	config_policy_done(config);
	mem_free(config->state_dir);
	mem_free(config->other_roots_file);
	for (size_t i = 0; i < config->num_crl_files; i++)
		mem_free(config->crl_files[i]);
	mem_free(config->crl_files);
	mem_free(config->operator_socket);
	mem_free(config->streams_socket);
	mem_free(config->page.token_file);
	config_etcd_done(config);
	config_federation_done(config);
	config_ca_done(config);
	mem_free(config->kubernetes.kubeconfig);
	mem_free(config->kubernetes.audience);
	mem_free(config->kubernetes.namespace_);
	mem_free(config->kubernetes.sidecar_image);
	mem_free(config->kubernetes.init_image);
	settings_record_free(config->record);
	mem_free(config);
}
