/* store.etcd: where the members of etcd are, and what proves each end to the other. */
#include "base/core/mem.h"
#include "base/core/number.h"
#include "control/config/config_private.h"

enum { ENDPOINTS_MAX = 16, PREFIX_MAX = 256, HOST_MAX = 253, USER_MAX = 255 };

static bool endpoint_parse(const char *text, struct config_endpoint *out)
{
	const char *colon = strrchr(text, ':');
	uint16_t port;
	if (colon == NULL || port_parse(span_of_str(colon + 1), &port) != ERR_NONE)
		return false;
	bool has_brackets = text[0] == '[' && colon > text && colon[-1] == ']';
	const char *host = has_brackets ? text + 1 : text;
	size_t len = (size_t)(colon - host) - (has_brackets ? 1 : 0);
	if (len == 0 || len > HOST_MAX || (!has_brackets && memchr(host, ':', len) != NULL))
		return false;
	for (size_t i = 0; i < len; i++)
		if (host[i] <= ' ' || host[i] > '~' || host[i] == '/')
			return false;
	*out = (struct config_endpoint){.host = mem_printf("%.*s", (int)len, host), .port = port};
	return true;
}

static void endpoints_read(struct settings *settings, struct setting_node *map, struct control_config *config)
{
	struct setting_node *list = NULL;
	size_t num = setting_list(settings, map, "endpoints", &list);
	if (num > ENDPOINTS_MAX) {
		setting_error(settings, map, "at most 16 endpoints", "name the members of one etcd alone",
			"store.etcd.endpoints has %zu", num);
		return;
	}
	config->etcd.endpoints = mem_zalloc((num + 1) * sizeof *config->etcd.endpoints);
	for (size_t i = 0; i < num; i++) {
		const char *text = setting_item_text(settings, list, i);
		struct config_endpoint *out = &config->etcd.endpoints[config->etcd.num_endpoints];
		if (endpoint_parse(text, out))
			config->etcd.num_endpoints++;
		else
			setting_error(settings, list, "host:port, such as etcd1.example:2379 or [2001:db8::1]:2379",
				"correct store.etcd.endpoints; without https://", "an endpoint is '%s'", text);
	}
}

static bool is_prefix(const char *text)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len > 0 && len <= PREFIX_MAX && text[len - 1] == '/';
}

static char *file_read(struct settings *settings, struct setting_node *map, const char *key, bool is_required)
{
	const char *text = setting_text(settings, map, key);
	if (text != NULL && is_required)
		return mem_strdup(text);
	if (is_required)
		setting_error(settings, map, "ca, certificate and key beside store.etcd.endpoints",
			"set it to a file in PEM; etcd without TLS is not supported", "store.etcd.%s is missing", key);
	else if (text != NULL)
		setting_error(settings, map, "store.etcd.endpoints beside it", "set store.etcd.endpoints, or remove it",
			"store.etcd.%s is given without endpoints", key);
	return NULL;
}

static void login_read(struct settings *settings, struct setting_node *map, struct control_config *config)
{
	const char *user = setting_text(settings, map, "user");
	bool has_file = setting_text(settings, map, "password_file") != NULL, is_used = config->etcd.num_endpoints > 0;
	config->etcd.user = file_read(settings, map, "user", is_used && user != NULL);
	config->etcd.password_file = file_read(settings, map, "password_file", is_used && has_file);
	if ((user != NULL) != has_file)
		setting_error(settings, map, "store.etcd.user and store.etcd.password_file together",
			"set both; without them etcd can take the certificate's common name as the user",
			"store.etcd.%s is given alone", user != NULL ? "user" : "password_file");
	if (user != NULL && (user[0] == '\0' || strlen(user) > USER_MAX))
		setting_error(settings, map, "a user name of 1 to 255 bytes", "correct store.etcd.user",
			"it has %zu bytes", strlen(user));
}

void config_etcd_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *store = setting_map(settings, settings_root(settings), "store");
	struct setting_node *map = setting_map(settings, store, "etcd");
	endpoints_read(settings, map, config);
	bool is_used = config->etcd.num_endpoints > 0;
	config->etcd.prefix = mem_strdup(setting_text(settings, map, "prefix"));
	config->etcd.ca = file_read(settings, map, "ca", is_used);
	config->etcd.certificate = file_read(settings, map, "certificate", is_used);
	config->etcd.key = file_read(settings, map, "key", is_used);
	login_read(settings, map, config);
	if (!is_prefix(config->etcd.prefix))
		setting_error(settings, map, "a prefix of 1 to 256 printable bytes that ends in a slash",
			"correct store.etcd.prefix, such as /handfast/", "it is '%s'", config->etcd.prefix);
	if (is_used && config->kubernetes.is_enabled)
		setting_error(settings, map, "one store", "remove store.etcd, or set kubernetes.enabled to false",
			"store.etcd.endpoints and kubernetes.enabled are both given");
}

void config_etcd_done(struct control_config *config)
{
	for (size_t i = 0; i < config->etcd.num_endpoints; i++)
		mem_free(config->etcd.endpoints[i].host);
	mem_free(config->etcd.endpoints);
	mem_free(config->etcd.prefix);
	mem_free(config->etcd.ca);
	mem_free(config->etcd.certificate);
	mem_free(config->etcd.key);
	mem_free(config->etcd.user);
	mem_free(config->etcd.password_file);
}
