#include "base/settings/setting_node.h"

#include "base/core/mem.h"
#include <stdio.h>

struct setting_node *setting_node_add(
	struct setting_node *parent, enum setting_kind kind, const char *key, const char *origin)
{
	struct setting_node *node = mem_new(struct setting_node);
	node->kind = kind;
	node->key = key == NULL ? NULL : mem_strdup(key);
	node->origin = mem_strdup(origin);
	node->parent = parent;
	if (parent == NULL)
		return node;
	if (parent->last == NULL)
		parent->first = node;
	else
		parent->last->next = node;
	parent->last = node;
	parent->num++;
	return node;
}

void setting_node_clear(struct setting_node *node)
{
	while (node->first != NULL) {
		struct setting_node *child = node->first;
		node->first = child->next;
		setting_node_clear(child);
		mem_free(child->key);
		mem_free(child->origin);
		mem_free(child);
	}
	node->last = NULL;
	node->num = 0;
	mem_free(node->text);
	node->text = NULL;
}

struct setting_node *setting_node_find(const struct setting_node *map, const char *key)
{
	for (struct setting_node *child = map->first; child != NULL; child = child->next)
		if (child->key != NULL && strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

static size_t index_of(const struct setting_node *node)
{
	size_t i = 0;
	for (const struct setting_node *other = node->parent->first; other != node; other = other->next)
		i++;
	return i;
}

const char *setting_node_path(const struct setting_node *node, char *out, size_t cap)
{
	if (node == NULL || node->parent == NULL) {
		out[0] = '\0';
		return out;
	}
	setting_node_path(node->parent, out, cap);
	size_t used = strlen(out);
	if (node->key == NULL)
		snprintf(out + used, cap - used, "[%zu]", index_of(node));
	else
		snprintf(out + used, cap - used, "%s%s", used == 0 ? "" : ".", node->key);
	return out;
}
