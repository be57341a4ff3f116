/* The nodes of a kubeconfig, as libyaml has them. Private to base/kube. */
#pragma once

#include <yaml.h>

struct kubeconfig {
	const char *path;
	yaml_document_t document;
};

yaml_node_t *kubeconfig_node(struct kubeconfig *file, int index);
/* The member of a mapping; NULL: `map` is none, or has no such member. */
yaml_node_t *kubeconfig_child(struct kubeconfig *file, const yaml_node_t *map, const char *key);
/* The same as text; key NULL: the node itself. NULL: there is none, or it is empty. */
const char *kubeconfig_text(struct kubeconfig *file, const yaml_node_t *map, const char *key);
char *kubeconfig_path(const struct kubeconfig *file, const char *path); /* relative to its folder; the caller frees */
