#include "base/kube/kubeconfig_node.h"
#include "base/core/mem.h"
#include <string.h>

yaml_node_t *kubeconfig_node(struct kubeconfig *file, int index)
{
	return yaml_document_get_node(&file->document, index);
}

static const char *text_of(const yaml_node_t *node)
{
	if (node == NULL || node->type != YAML_SCALAR_NODE ||
		strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
		return NULL;
	return (const char *)node->data.scalar.value;
}

yaml_node_t *kubeconfig_child(struct kubeconfig *file, const yaml_node_t *map, const char *key)
{
	if (map == NULL || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
		const char *name = text_of(kubeconfig_node(file, pair->key));
		if (name != NULL && strcmp(name, key) == 0)
			return kubeconfig_node(file, pair->value);
	}
	return NULL;
}

const char *kubeconfig_text(struct kubeconfig *file, const yaml_node_t *map, const char *key)
{
	const char *text = text_of(key == NULL ? map : kubeconfig_child(file, map, key));
	return text != NULL && text[0] != '\0' ? text : NULL;
}

char *kubeconfig_path(const struct kubeconfig *file, const char *path)
{
	const char *slash = strrchr(file->path, '/');
	if (path[0] == '/' || slash == NULL)
		return mem_strdup(path);
	return mem_printf("%.*s/%s", (int)(slash - file->path), file->path, path);
}
