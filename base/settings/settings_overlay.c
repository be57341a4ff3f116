/* The environment and flags over the file: a value given there replaces what the file says at that key. */
#include "base/core/mem.h"
#include "base/settings/setting_node.h"
#include <ctype.h>
#include <stdio.h>

static struct setting_node *child_map(struct setting_node *map, const char *key, const char *origin)
{
	struct setting_node *child = setting_node_find(map, key);
	return child != NULL ? child : setting_node_add(map, SETTING_MAP, key, origin);
}

static void overlay(struct settings *settings, const char *path, const char *value, const char *origin)
{
	struct setting_node *map = settings->root;
	char part[64];
	const char *dot;
	while ((dot = strchr(path, '.')) != NULL) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
		map = child_map(map, part, origin);
		path = dot + 1;
		if (map->kind != SETTING_MAP) {
			setting_node_clear(map);
			map->kind = SETTING_MAP;
		}
	}
	struct setting_node *node = child_map(map, path, origin);
	setting_node_clear(node);
	mem_free(node->origin);
	node->kind = SETTING_SCALAR;
	node->text = mem_strdup(value);
	node->origin = mem_strdup(origin);
}

/* "mesh.leaf_ttl" is MESH_LEAF_TTL in the environment. */
static bool is_variable_of(const char *key, const char *variable, size_t len)
{
	if (strlen(key) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (variable[i] != (key[i] == '.' ? '_' : toupper((unsigned char)key[i])))
			return false;
	return true;
}

static void variable_take(struct settings *settings, const char *const *keys, const char *variable, const char *rest)
{
	const char *equals = strchr(rest, '=');
	size_t len = equals == NULL ? strlen(rest) : (size_t)(equals - rest);
	char origin[128];
	snprintf(origin, sizeof(origin), "%.*s", (int)(len + (size_t)(rest - variable)), variable);
	for (size_t i = 0; keys[i] != NULL; i++)
		if (equals != NULL && is_variable_of(keys[i], rest, len)) {
			overlay(settings, keys[i], equals + 1, origin);
			return;
		}
	struct setting_node place = {.origin = origin};
	setting_mistake(
		settings, &place, "a variable of a known key", "unset it, or see the spelling in --help", "%s", origin);
}

void settings_read_environment(struct settings *settings, const char *const *keys, char *const *environment)
{
	size_t prefix = strlen(settings->program);
	for (size_t i = 0; environment[i] != NULL; i++)
		if (strncmp(environment[i], settings->program, prefix) == 0 && environment[i][prefix] == '_')
			variable_take(settings, keys, environment[i], environment[i] + prefix + 1);
}

/* A flag may be written with dashes where the key has underscores. */
static bool is_flag_of(const char *key, const char *flag, size_t len)
{
	if (strlen(key) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (key[i] != flag[i] && !(key[i] == '_' && flag[i] == '-'))
			return false;
	return true;
}

bool settings_read_flag(struct settings *settings, const char *const *keys, int argc, char *const *argv, int *index)
{
	const char *flag = argv[*index];
	if (strncmp(flag, "--", 2) != 0)
		return false;
	flag += 2;
	const char *equals = strchr(flag, '=');
	size_t len = equals == NULL ? strlen(flag) : (size_t)(equals - flag);
	for (size_t i = 0; keys[i] != NULL; i++) {
		if (!is_flag_of(keys[i], flag, len))
			continue;
		char origin[128];
		snprintf(origin, sizeof(origin), "--%s", keys[i]);
		struct setting_node place = {.origin = origin};
		if (equals != NULL)
			overlay(settings, keys[i], equals + 1, origin);
		else if (*index + 1 < argc)
			overlay(settings, keys[i], argv[++*index], origin);
		else
			setting_mistake(settings, &place, "a value", "write --key=value", "nothing behind it");
		++*index;
		return true;
	}
	return false;
}
