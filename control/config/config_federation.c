/* federation: the own bundle endpoint, and those of partners. */
#include "base/core/mem.h"
#include "base/core/number.h"
#include "control/config/config_private.h"

enum { PARTNERS_MAX = 32, HOST_MAX = 253, PATH_TEXT_MAX = 1024, PORT_HTTPS = 443 };

static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '#')
			return false;
	return true;
}

/* "host", "host:port", "[v6]:port" */
static bool authority_parse(struct span text, struct config_partner *out)
{
	uint16_t port = PORT_HTTPS;
	bool has_brackets = text.len > 0 && text.ptr[0] == '[';
	const uint8_t *end = memchr(text.ptr, has_brackets ? ']' : ':', text.len);
	size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
	struct span host = has_brackets && len > 0 ? span_of(text.ptr + 1, len - 1) : span_of(text.ptr, len);
	struct span rest = span_from(text, len + (has_brackets && end != NULL ? 1 : 0));
	if ((has_brackets && end == NULL) || host.len == 0 || host.len > HOST_MAX || memchr(host.ptr, '@', host.len))
		return false;
	if (rest.len > 0 && (rest.ptr[0] != ':' || port_parse(span_from(rest, 1), &port) != ERR_NONE))
		return false;
	out->host = mem_printf("%.*s", (int)host.len, (const char *)host.ptr);
	out->port = port;
	return true;
}

static bool url_parse(const char *url, struct config_partner *out)
{
	static const char scheme[] = "https://";
	struct span text = span_of_str(url);
	if (!span_starts_with(text, span_of_str(scheme)) || text.len > PATH_TEXT_MAX || !is_plain(text))
		return false;
	text = span_from(text, strlen(scheme));
	const uint8_t *slash = text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
	size_t len = slash == NULL ? text.len : (size_t)(slash - text.ptr);
	if (len == 0 || !authority_parse(span_of(text.ptr, len), out))
		return false;
	out->path = slash == NULL ? mem_strdup("/") : mem_strdup((const char *)slash);
	return true;
}

static char *copy_of(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : mem_strdup(text);
}

static void endpoint_id_read(struct settings *settings, struct setting_node *map, struct config_partner *out)
{
	const char *text = setting_text(settings, map, "endpoint_spiffe_id");
	_cleanup_(mem_freep) char *usual = mem_printf("spiffe://%s/handfast/federation", out->domain.name);
	struct why why = {0};
	if (text != NULL && !out->is_spiffe)
		setting_error(settings, map, "endpoint_spiffe_id with profile https_spiffe alone",
			"set profile to https_spiffe, or remove endpoint_spiffe_id", "the profile is https_web");
	if (!out->is_spiffe || out->domain.name[0] == '\0')
		return;
	if (spiffe_id_parse(span_of_str(text != NULL ? text : usual), &out->endpoint_id, &why) != ERR_NONE)
		setting_error_why(settings, map, "endpoint_spiffe_id", &why);
	else if (!spiffe_id_in_trust_domain(&out->endpoint_id, &out->domain))
		setting_error(settings, map, "an endpoint_spiffe_id of the partner's trust domain",
			"name the endpoint as the partner's operator does, such as spiffe://TRUST-DOMAIN/spire/server",
			"it is %s", out->endpoint_id.text);
}

static void partner_read(struct settings *settings, struct setting_node *map, struct config_partner *out)
{
	struct why why = {0};
	const char *domain = setting_required_text(settings, map, "trust_domain", "the partner's trust domain");
	const char *url = setting_required_text(settings, map, "url", "the address of the partner's bundle endpoint");
	out->is_spiffe = setting_keyword(settings, map, "profile") == 1;
	out->bundle_file = copy_of(setting_text(settings, map, "bundle_file"));
	out->ca = copy_of(setting_text(settings, map, "ca"));
	if (domain[0] != '\0' && trust_domain_parse(span_of_str(domain), &out->domain, &why) != ERR_NONE)
		setting_error_why(settings, map, "trust_domain", &why);
	endpoint_id_read(settings, map, out);
	if (url[0] != '\0' && !url_parse(url, out))
		setting_error(settings, map, "a url such as https://bundle.example:8443/",
			"correct it; http:// is not supported", "it is '%s'", url);
	if (out->ca != NULL && out->is_spiffe)
		setting_error(settings, map, "ca with profile https_web alone", "remove ca, or set the profile",
			"the profile is https_spiffe");
}

/* A bundle for the own trust domain, or a second one for a partner's, would be more than that partner's word. */
static void must_be_anothers(
	struct settings *settings, struct setting_node *map, const struct control_config *config, size_t which)
{
	const char *name = config->federation.partners[which].domain.name;
	bool is_known = strcmp(name, config->trust_domain.name) == 0;
	for (size_t i = 0; i < which; i++)
		is_known = is_known || strcmp(name, config->federation.partners[i].domain.name) == 0;
	if (is_known && name[0] != '\0')
		setting_error(settings, map, "partners of other trust domains, each once",
			"correct trust_domain, or remove the section", "the trust domain %s is not another one", name);
}

static void partners_read(struct settings *settings, struct setting_node *map, struct control_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "partners", &list);
	if (num > PARTNERS_MAX) {
		setting_error(settings, map, "at most 32 partners", "remove some: every sidecar keeps their roots",
			"federation.partners has %zu", num);
		return;
	}
	config->federation.partners = num == 0 ? NULL : mem_calloc(num, sizeof(*config->federation.partners));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		if (item == NULL)
			continue;
		size_t which = config->federation.num_partners++;
		partner_read(settings, item, &config->federation.partners[which]);
		must_be_anothers(settings, item, config, which);
	}
}

void config_federation_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "federation");
	config->federation.port = (uint16_t)setting_number(settings, map, "port");
	config->federation.certificate = copy_of(setting_text(settings, map, "certificate"));
	config->federation.key = copy_of(setting_text(settings, map, "key"));
	config->federation.refresh_hint_ms = setting_duration_ms(settings, map, "refresh_hint");
	config->federation.refresh_min_ms = setting_duration_ms(settings, map, "refresh_min");
	uint16_t port = config->federation.port;
	if (port != 0 && (port == config->streams_port || port == config->metrics_port))
		setting_error(settings, map, "a port of its own for the bundle endpoint", "change federation.port",
			"federation.port is one of listen's ports");
	if ((config->federation.certificate == NULL) != (config->federation.key == NULL))
		setting_error(settings, map, "federation.certificate and federation.key together",
			"set both for https_web, or none for https_spiffe", "one of them is missing");
	partners_read(settings, map, config);
}

void config_partner_done(struct config_partner *partner)
{
	mem_free(partner->host);
	mem_free(partner->path);
	spiffe_id_done(&partner->endpoint_id);
	mem_free(partner->bundle_file);
	mem_free(partner->ca);
	*partner = (struct config_partner){0};
}

void config_partner_copy(const struct config_partner *from, struct config_partner *out)
{
	*out = (struct config_partner){.domain = from->domain,
		.host = mem_strdup(from->host),
		.port = from->port,
		.path = mem_strdup(from->path),
		.is_spiffe = from->is_spiffe,
		.bundle_file = copy_of(from->bundle_file),
		.ca = copy_of(from->ca)};
	if (from->is_spiffe)
		spiffe_id_copy(&from->endpoint_id, &out->endpoint_id);
}

void config_federation_done(struct control_config *config)
{
	for (size_t i = 0; i < config->federation.num_partners; i++)
		config_partner_done(&config->federation.partners[i]);
	mem_free(config->federation.partners);
	mem_free(config->federation.certificate);
	mem_free(config->federation.key);
}
