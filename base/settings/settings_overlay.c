/* The environment and flags over the file: a value given there replaces the value of the file. */
#include "base/core/mem.h"
#include "base/core/service_link.h"
#include "base/settings/setting_nearest.h"
#include "base/settings/setting_node.h"
#include <stdio.h>

static struct setting_node *child_map(struct setting_node *map, const char *key, const char *origin)
{
	struct setting_node *child = setting_node_find(map, key);
	return child != NULL ? child : setting_node_add(map, SETTING_MAP, key, origin);
}

static void overlay(
	struct settings *settings, const char *path, const char *value, const char *origin, enum setting_from from)
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
	node->from = from;
}

/* A variable, cut in its parts. */
struct variable {
	char name[128];    /* cut short when it is longer: then it is no key either */
	const char *value; /* behind the equals sign */
};

static bool variable_split(const char *text, struct variable *out)
{
	const char *equals = strchr(text, '=');
	if (equals == NULL || equals[1] == '\0')
		return false; /* empty counts as not set, as charts and compose files leave them */
	snprintf(out->name, sizeof(out->name), "%.*s", (int)(equals - text), text);
	out->value = equals + 1;
	return true;
}

/* What follows "PREFIX_" in the name, or NULL. */
static const char *rest_of(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	return strncmp(name, prefix, len) == 0 && name[len] == '_' ? name + len + 1 : NULL;
}

static void warn(struct settings *settings, const char *name, const char *what)
{
	/* Past the maximum they are left out. */
	enum err ignored = buf_printf(&settings->warnings, "%s: %s\n", name, what);
	(void)ignored;
}

/* A variable of the prefix that is none of the keys. */
static void take_unknown(struct settings *settings, const char *rest, const char *name)
{
	const struct setting_renamed *renamed = setting_renamed_find_variable(settings->table->renamed, rest);
	char nearest[SETTING_NEAREST_MAX], what[192];
	if (renamed != NULL) {
		setting_error_renamed(settings, name, renamed);
		return;
	}
	bool is_near = setting_nearest(settings->table, span_of_str(rest), false, nearest) != NULL;
	snprintf(what, sizeof(what), "no setting has this name, so it is ignored; %s%s",
		is_near ? "the nearest is that of " : "check the spelling in --keys", is_near ? nearest : "");
	warn(settings, name, what);
}

void settings_read_environment(struct settings *settings, char *const *environment)
{
	struct variable variable;
	for (size_t i = 0; environment[i] != NULL; i++) {
		const char *rest = variable_split(environment[i], &variable)
					   ? rest_of(variable.name, settings->table->prefix)
					   : NULL;
		if (rest == NULL || service_link_is(rest, variable.value))
			continue; /* the links come first: a Service's name may make the name of a setting */
		const struct setting_def *def = setting_table_find_variable(settings->table, rest);
		if (def != NULL)
			overlay(settings, def->key, variable.value, variable.name, SETTING_FROM_ENVIRONMENT);
		else
			take_unknown(settings, rest, variable.name);
	}
}

void settings_read_former_environment(struct settings *settings, const char *prefix, char *const *environment)
{
	struct variable variable;
	char what[160];
	for (size_t i = 0; environment[i] != NULL; i++) {
		const char *rest = variable_split(environment[i], &variable) ? rest_of(variable.name, prefix) : NULL;
		if (rest == NULL || service_link_is(rest, variable.value))
			continue;
		const struct setting_def *def = setting_table_find_variable(settings->table, rest);
		if (def == NULL && setting_renamed_find_variable(settings->table->renamed, rest) != NULL)
			take_unknown(settings, rest, variable.name);
		if (def == NULL)
			continue;
		overlay(settings, def->key, variable.value, variable.name, SETTING_FROM_ENVIRONMENT);
		snprintf(what, sizeof(what), "this name is read for the last time in this release; write %s_%.64s",
			settings->table->prefix, rest);
		warn(settings, variable.name, what);
	}
}

void settings_read_flag(struct settings *settings, const char *key, const char *value)
{
	char origin[128];
	snprintf(origin, sizeof(origin), "--%s", key);
	overlay(settings, key, value, origin, SETTING_FROM_FLAG);
}
