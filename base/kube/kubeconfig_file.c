/* The kubeconfig file (Kubernetes: "Organizing Cluster Access Using kubeconfig Files"), read by libyaml. */
#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/kube/kube_config_private.h"
#include "base/kube/kube_plugin.h"
#include "base/kube/kubeconfig_node.h"
#include <stdio.h>

/* The `inner` part of the entry with that name, such as clusters[name=...].cluster. */
static yaml_node_t *named(struct kubeconfig *file, const char *list, const char *name, const char *inner)
{
	const yaml_node_t *entries = kubeconfig_child(file, yaml_document_get_root_node(&file->document), list);
	if (entries == NULL || entries->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (const yaml_node_item_t *item = entries->data.sequence.items.start; item < entries->data.sequence.items.top;
		item++) {
		const char *found = kubeconfig_text(file, kubeconfig_node(file, *item), "name");
		if (found != NULL && strcmp(found, name) == 0)
			return kubeconfig_child(file, kubeconfig_node(file, *item), inner);
	}
	return NULL;
}

/* KEY-data (base64) precedes KEY (a path). Neither: *out is empty. *out_path: the path; NULL: not wanted. */
static enum err take_pem(struct kubeconfig *file, const yaml_node_t *map, const char *key, struct buf *out,
	char **out_path, struct why *why)
{
	char data_key[64];
	snprintf(data_key, sizeof(data_key), "%s-data", key);
	const char *data = kubeconfig_text(file, map, data_key), *path = kubeconfig_text(file, map, key);
	if (data != NULL) {
		buf_init(out, strlen(data));
		if (base64_decode(span_of_str(data), out) != ERR_NONE)
			return why_set(why, ERR_MALFORMED, "base64 (RFC 4648 4)", "write the kubeconfig again",
				"%s in %s is not base64", data_key, file->path);
		return ERR_NONE;
	}
	if (path == NULL)
		return ERR_NONE;
	char *full = kubeconfig_path(file, path);
	enum err err = kube_config_read(full, out, why);
	if (err == ERR_NONE && out_path != NULL)
		*out_path = TAKE_PTR(full);
	mem_free(full);
	return err;
}

/* "https://host[:port]", "https://[v6]:port", with at most a slash behind. */
static enum err take_server(const char *server, struct kube_config *config, struct why *why)
{
	static const char scheme[] = "https://";
	static const char expected[] = "https://HOST:PORT";
	static const char fix[] = "correct 'server' in the kubeconfig";
	if (strncmp(server, scheme, strlen(scheme)) != 0)
		return why_set(why, ERR_UNSUPPORTED, expected, fix, "the API server is %.128s", server);
	const char *at = server + strlen(scheme);
	bool is_v6 = at[0] == '[';
	size_t len = is_v6 ? strcspn(++at, "]") : strcspn(at, ":/");
	const char *rest = at + len + (is_v6 && at[len] == ']' ? 1 : 0);
	char port[8] = "443";
	size_t port_len = rest[0] == ':' ? strcspn(rest + 1, "/") : 0;
	if (rest[0] == ':') {
		snprintf(port, sizeof(port), "%.*s", port_len < sizeof(port) ? (int)port_len : 0, rest + 1);
		rest += port_len + 1;
	}
	if (len == 0 || port_parse(span_of_str(port), &config->port) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, expected, fix, "the API server is %.128s", server);
	if (strcmp(rest, "") != 0 && strcmp(rest, "/") != 0)
		return why_set(why, ERR_UNSUPPORTED, "an API server without a path", "name the API server itself",
			"the API server's address has a path: %.128s", server);
	config->host = mem_printf("%.*s", (int)len, at);
	return ERR_NONE;
}

static enum err refuse(struct kubeconfig *file, const char *key, const char *fix, struct why *why)
{
	return why_set(why, ERR_UNSUPPORTED, "a certificate, a token or a token file", fix,
		"%s has '%s', which is not supported", file->path, key);
}

static enum err take_cluster(
	struct kubeconfig *file, const yaml_node_t *cluster, struct kube_config *config, struct why *why)
{
	const char *server = kubeconfig_text(file, cluster, "server");
	const char *name = kubeconfig_text(file, cluster, "tls-server-name");
	const char *is_insecure = kubeconfig_text(file, cluster, "insecure-skip-tls-verify");
	if (server == NULL)
		return why_set(why, ERR_MALFORMED, "clusters[].cluster.server", "add it to the kubeconfig",
			"%s names no API server for its current context", file->path);
	if (is_insecure != NULL && strcmp(is_insecure, "true") == 0)
		return refuse(file, "insecure-skip-tls-verify", "give certificate-authority-data", why);
	if (kubeconfig_text(file, cluster, "proxy-url") != NULL)
		return refuse(file, "proxy-url", "name the API server itself", why);
	RETURN_IF_ERR(take_server(server, config, why));
	if (name != NULL)
		config->server_name = mem_strdup(name);
	RETURN_IF_ERR(take_pem(file, cluster, "certificate-authority", &config->ca_pem, &config->ca_file, why));
	if (buf_len(&config->ca_pem) > 0)
		return ERR_NONE;
	return why_set(why, ERR_UNSUPPORTED, "certificate-authority or certificate-authority-data",
		"add the CA of the API server to the kubeconfig", "%s has no CA certificates for its current context",
		file->path);
}

static enum err take_plugin(struct kubeconfig *file, const yaml_node_t *user, const char *server,
	struct kube_config *config, struct why *why)
{
	_cleanup_(kube_plugin_done) struct kube_plugin plugin = {0};
	RETURN_IF_ERR(kubeconfig_read_plugin(file, kubeconfig_child(file, user, "exec"), server, &plugin, why));
	return kube_plugin_run(&plugin, config, why);
}

/* may_run: the credential plugin. */
static enum err take_user(struct kubeconfig *file, const yaml_node_t *user, const char *server, bool may_run,
	struct kube_config *config, struct why *why)
{
	static const char *const unsupported[] = {"auth-provider", "username", "as", "exec"};
	size_t num = sizeof(unsupported) / sizeof(unsupported[0]) - (may_run ? 1 : 0);
	for (size_t i = 0; i < num; i++)
		if (kubeconfig_child(file, user, unsupported[i]) != NULL)
			return refuse(file, unsupported[i],
				"write a token into the kubeconfig (`kubectl create token`)", why);
	if (kubeconfig_child(file, user, "exec") != NULL)
		return take_plugin(file, user, server, config, why);
	const char *token = kubeconfig_text(file, user, "token"),
		   *token_file = kubeconfig_text(file, user, "tokenFile");
	if (token_file != NULL) { /* as in kubectl, it precedes the token */
		config->token_file = kubeconfig_path(file, token_file);
	} else if (token != NULL) {
		buf_init(&config->token, KUBE_TOKEN_MAX);
		if (buf_append_str(&config->token, token) != ERR_NONE)
			return why_set(why, ERR_TOO_LARGE, "a token of at most 16 KiB",
				"write a shorter one into the kubeconfig", "the token in %s has %zu bytes", file->path,
				strlen(token));
	}
	RETURN_IF_ERR(take_pem(file, user, "client-certificate", &config->client_chain_pem, NULL, why));
	RETURN_IF_ERR(take_pem(file, user, "client-key", &config->client_key_pem, NULL, why));
	if ((buf_len(&config->client_chain_pem) > 0) == (buf_len(&config->client_key_pem) > 0))
		return ERR_NONE;
	return why_set(why, ERR_MALFORMED, "client-certificate and client-key", "write the kubeconfig again",
		"%s has one of them without the other", file->path);
}

static enum err take_context(struct kubeconfig *file, bool may_run, struct kube_config *config, struct why *why)
{
	static const char expected[] = "a kubeconfig with a current context";
	static const char fix[] = "choose one: `kubectl config use-context NAME`";
	const yaml_node_t *root = yaml_document_get_root_node(&file->document);
	const char *current = kubeconfig_text(file, root, "current-context");
	if (current == NULL)
		return why_set(why, ERR_NOT_FOUND, expected, fix, "%s has no current-context", file->path);
	const yaml_node_t *context = named(file, "contexts", current, "context");
	const char *cluster_name = kubeconfig_text(file, context, "cluster"),
		   *user_name = kubeconfig_text(file, context, "user");
	const char *namespace = kubeconfig_text(file, context, "namespace");
	if (cluster_name == NULL)
		return why_set(why, ERR_NOT_FOUND, expected, fix, "%s has no context %.64s that names a cluster",
			file->path, current);
	const yaml_node_t *cluster = named(file, "clusters", cluster_name, "cluster");
	if (cluster == NULL)
		return why_set(why, ERR_NOT_FOUND, expected, fix, "%s has no cluster %.64s", file->path, cluster_name);
	config->namespace_ = mem_strdup(namespace != NULL ? namespace : "default");
	RETURN_IF_ERR(take_cluster(file, cluster, config, why));
	const yaml_node_t *user = user_name != NULL ? named(file, "users", user_name, "user") : NULL;
	return user != NULL ? take_user(file, user, kubeconfig_text(file, cluster, "server"), may_run, config, why)
			    : ERR_NONE;
}

static enum err load(
	struct kubeconfig *file, struct span text, bool may_run, struct kube_config *config, struct why *why)
{
	yaml_parser_t parser;
	CHECK(yaml_parser_initialize(&parser) != 0);
	yaml_parser_set_input_string(&parser, text.ptr, text.len);
	enum err err = ERR_NONE;
	if (yaml_parser_load(&parser, &file->document) == 0)
		err = why_set(why, ERR_MALFORMED, "valid YAML", "write the kubeconfig again", "%s:%zu: %s", file->path,
			parser.problem_mark.line + 1, parser.problem != NULL ? parser.problem : "it is not YAML");
	yaml_parser_delete(&parser);
	if (err != ERR_NONE)
		return err;
	err = take_context(file, may_run, config, why);
	yaml_document_delete(&file->document);
	return err;
}

static enum err load_path(const char *path, bool may_run, struct kube_config *out, struct why *why)
{
	_cleanup_(kube_config_done) struct kube_config config = {0};
	_cleanup_(buf_wipe) struct buf text = {0};
	struct kubeconfig file = {.path = path};
	RETURN_IF_ERR(kube_config_read(path, &text, why));
	RETURN_IF_ERR(load(&file, span_of_str(buf_cstr(&text)), may_run, &config, why));
	*out = config;
	config = (struct kube_config){0};
	return ERR_NONE;
}

enum err kube_config_load(const char *path, struct kube_config *out, struct why *why)
{
	return load_path(path, false, out, why);
}

enum err kube_config_load_with_plugin(const char *path, struct kube_config *out, struct why *why)
{
	return load_path(path, true, out, why);
}
