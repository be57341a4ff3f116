#include "base/core/mem.h"
#include "base/kube/kube_plugin.h"
#include <string.h>

#define GROUP "client.authentication.k8s.io/"

void kube_plugin_done(struct kube_plugin *plugin)
{
	mem_free(plugin->api_version);
	mem_free(plugin->install_hint);
	mem_free(plugin->server);
	for (size_t i = 0; plugin->words[i] != NULL; i++)
		mem_free(plugin->words[i]);
	for (size_t i = 0; plugin->variables[i] != NULL; i++)
		mem_free(plugin->variables[i]);
	*plugin = (struct kube_plugin){0};
}

static enum err bad(const struct kubeconfig *file, const char *key, const char *expected, struct why *why)
{
	return why_set(why, ERR_MALFORMED, expected, "correct the kubeconfig", "%s: exec.%s is wrong or missing",
		file->path, key);
}

/* Node `i` of a list; NULL: there are fewer, or it is no list. */
static const yaml_node_t *item(struct kubeconfig *file, const yaml_node_t *list, size_t i)
{
	if (list == NULL || list->type != YAML_SEQUENCE_NODE ||
		i >= (size_t)(list->data.sequence.items.top - list->data.sequence.items.start))
		return NULL;
	return kubeconfig_node(file, list->data.sequence.items.start[i]);
}

/* A command with a slash is beside the kubeconfig, one without is searched for. */
static enum err read_words(struct kubeconfig *file, const yaml_node_t *map, struct kube_plugin *out, struct why *why)
{
	const char *command = kubeconfig_text(file, map, "command");
	const yaml_node_t *args = kubeconfig_child(file, map, "args"), *one;
	size_t num = 0;
	if (command == NULL)
		return bad(file, "command", "the name or path of a program", why);
	out->words[num++] = strchr(command, '/') != NULL ? kubeconfig_path(file, command) : mem_strdup(command);
	for (size_t i = 0; (one = item(file, args, i)) != NULL; i++) {
		if (one->type != YAML_SCALAR_NODE || num == KUBE_PLUGIN_WORDS_MAX)
			return bad(file, "args", "a list of at most 63 texts", why);
		const char *text = kubeconfig_text(file, one, NULL);
		out->words[num++] = mem_strdup(text != NULL ? text : "");
	}
	return ERR_NONE;
}

static enum err read_variables(
	struct kubeconfig *file, const yaml_node_t *map, struct kube_plugin *out, struct why *why)
{
	const yaml_node_t *list = kubeconfig_child(file, map, "env"), *one;
	for (size_t i = 0; (one = item(file, list, i)) != NULL; i++) {
		const char *name = kubeconfig_text(file, one, "name"), *value = kubeconfig_text(file, one, "value");
		if (name == NULL || strchr(name, '=') != NULL || i == KUBE_PLUGIN_VARIABLES_MAX)
			return bad(file, "env", "a list of at most 64 objects with name and value", why);
		out->variables[i] = mem_printf("%s=%s", name, value != NULL ? value : "");
	}
	return ERR_NONE;
}

static enum err read_mode(struct kubeconfig *file, const yaml_node_t *map, struct kube_plugin *out, struct why *why)
{
	static const char *const names[] = {[KUBE_PLUGIN_IF_AVAILABLE] = "IfAvailable",
		[KUBE_PLUGIN_NEVER] = "Never",
		[KUBE_PLUGIN_ALWAYS] = "Always"};
	const char *mode = kubeconfig_text(file, map, "interactiveMode");
	if (mode == NULL && strcmp(out->api_version, GROUP "v1") != 0)
		return ERR_NONE; /* v1beta1 has this default */
	for (size_t i = 0; mode != NULL && i < sizeof names / sizeof names[0]; i++)
		if (strcmp(mode, names[i]) == 0) {
			out->mode = (enum kube_plugin_mode)i;
			return ERR_NONE;
		}
	return bad(file, "interactiveMode", "IfAvailable, Never or Always", why);
}

enum err kubeconfig_read_plugin(
	struct kubeconfig *file, const yaml_node_t *map, const char *server, struct kube_plugin *out, struct why *why)
{
	const char *version = kubeconfig_text(file, map, "apiVersion"),
		   *hint = kubeconfig_text(file, map, "installHint");
	const char *wants = kubeconfig_text(file, map, "provideClusterInfo");
	if (version == NULL || (strcmp(version, GROUP "v1") != 0 && strcmp(version, GROUP "v1beta1") != 0))
		return why_set(why, ERR_UNSUPPORTED, GROUP "v1 or v1beta1",
			"update the plugin, and write the kubeconfig again with it", "%s: exec.apiVersion is %.80s",
			file->path, version != NULL ? version : "missing");
	out->api_version = mem_strdup(version);
	if (hint != NULL)
		out->install_hint = mem_strdup(hint);
	if (wants != NULL && strcmp(wants, "true") == 0)
		out->server = mem_strdup(server);
	RETURN_IF_ERR(read_words(file, map, out, why));
	RETURN_IF_ERR(read_variables(file, map, out, why));
	return read_mode(file, map, out, why);
}
