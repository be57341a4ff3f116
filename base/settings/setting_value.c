/* Typed values out of the tree: texts, keywords and sections. */
#include "base/core/check.h"
#include "base/settings/setting_node.h"
#include <stdio.h>

struct setting_node *setting_node_ask(struct setting_node *map, const char *key)
{
	struct setting_node *node = map == NULL ? NULL : setting_node_find(map, key);
	if (node != NULL)
		node->asked = true;
	return node;
}

const char *setting_scalar_text(struct settings *settings, struct setting_node *node, const char *expected)
{
	if (node == NULL)
		return NULL;
	if (node->kind == SETTING_SCALAR)
		return node->text;
	setting_error(
		settings, node, expected, "give one value", "it is %s", node->kind == SETTING_MAP ? "a map" : "a list");
	setting_node_clear(node); /* one error for it: what lies below has no meaning of its own */
	return NULL;
}

/* "mesh.networks" of the map "mesh" */
static const char *key_path(const struct setting_node *map, const char *key, char *out, size_t cap)
{
	setting_node_path(map, out, cap);
	size_t used = strlen(out);
	if (key != NULL)
		snprintf(out + used, cap - used, "%s%s", used == 0 ? "" : ".", key);
	return out;
}

const struct setting_def *setting_def_of(
	const struct settings *settings, const struct setting_node *map, const char *key)
{
	char path[512];
	const struct setting_def *def = setting_table_find(settings->table, key_path(map, key, path, sizeof(path)));
	CHECK(def != NULL); /* else a row of the program's settings.def is missing */
	return def;
}

void setting_note(struct settings *settings, const struct setting_node *map, const char *key,
	const struct setting_node *node, const char *value)
{
	char path[512];
	if (map == NULL)
		return;
	/* The value in full, however long: a reload takes over what differs from it. */
	const struct setting_row row = {
		.key = (char *)(uintptr_t)key_path(map, key, path, sizeof(path)),
		/* The record copies them. */
		.value = (char *)(uintptr_t)value,
		.origin = node == NULL ? (char *)(uintptr_t) "default" : node->origin,
		.from = node == NULL ? SETTING_FROM_DEFAULT : node->from,
	};
	settings_record_add(settings->record, &row);
}

struct setting_node *setting_map(struct settings *settings, struct setting_node *map, const char *key)
{
	struct setting_node *node = setting_node_ask(map, key);
	if (node == NULL) {
		node = setting_node_add(map, SETTING_MAP, key, map->origin);
		node->asked = true;
	}
	if (node->kind == SETTING_MAP)
		return node;
	setting_error(settings, node, "keys and values", "indent them below it", "it is %s",
		node->kind == SETTING_LIST ? "a list" : "one value");
	setting_node_clear(node); /* the defaults of its keys serve: the error is reported already */
	node->kind = SETTING_MAP;
	return node;
}

static const char *default_text(const struct setting_def *def)
{
	return def->otherwise[0] == '\0' || strcmp(def->otherwise, SETTING_REQUIRED) == 0 ? NULL : def->otherwise;
}

const char *setting_text(struct settings *settings, struct setting_node *map, const char *key)
{
	if (map == NULL)
		return NULL;
	struct setting_node *node = setting_node_ask(map, key);
	const char *text = setting_scalar_text(settings, node, "a text");
	if (text == NULL)
		text = default_text(setting_def_of(settings, map, key));
	setting_note(settings, map, key, node, text);
	return text;
}

const char *setting_path(struct settings *settings, struct setting_node *map, const char *key, size_t max)
{
	const char *text = setting_text(settings, map, key);
	char expected[80];
	if (text != NULL && text[0] != '\0' && strlen(text) <= max)
		return text;
	snprintf(expected, sizeof(expected), "a path of 1 to %zu bytes", max);
	setting_error(settings, setting_node_find(map, key), expected, "correct it, or remove the key for its default",
		"the path has %zu bytes", text == NULL ? 0 : strlen(text));
	return text == NULL ? "" : text;
}

const char *setting_required_text(
	struct settings *settings, struct setting_node *map, const char *key, const char *expected)
{
	struct setting_node *node = setting_node_ask(map, key);
	const char *text = setting_scalar_text(settings, node, expected);
	CHECK(strcmp(setting_def_of(settings, map, key)->otherwise, SETTING_REQUIRED) == 0);
	setting_note(settings, map, key, node, text);
	if (text != NULL && text[0] != '\0')
		return text;
	if (node == NULL || text != NULL)
		setting_missing(settings, node != NULL ? node : map, key, expected, "set it");
	return "";
}

/* --- keywords --- */

/* The place of `text` among "off, auto, require"; -1: it is none of them. */
static int keyword_index(const char *keywords, const char *text)
{
	int i = 0;
	for (const char *at = keywords; *at != '\0'; i++) {
		size_t len = strcspn(at, ",");
		if (strlen(text) == len && strncmp(at, text, len) == 0)
			return i;
		at += len + strspn(at + len, ", ");
	}
	return -1;
}

static unsigned keyword(
	struct settings *settings, struct setting_node *map, const char *key, const struct setting_def *def)
{
	char expected[128];
	snprintf(expected, sizeof(expected), "one of %s", def->range);
	struct setting_node *node = setting_node_ask(map, key);
	const char *text = setting_scalar_text(settings, node, expected);
	int otherwise = keyword_index(def->range, def->otherwise), i;
	CHECK(otherwise >= 0 || def->otherwise[0] == '\0');
	setting_note(settings, map, key, node, text != NULL ? text : default_text(def));
	if (text == NULL)
		return otherwise < 0 ? 0 : (unsigned)otherwise;
	if ((i = keyword_index(def->range, text)) >= 0)
		return (unsigned)i;
	setting_error(settings, node, expected, "choose one of them", "the value is '%s'", text);
	return otherwise < 0 ? 0 : (unsigned)otherwise;
}

unsigned setting_keyword(struct settings *settings, struct setting_node *map, const char *key)
{
	if (map == NULL)
		return 0;
	const struct setting_def *def = setting_def_of(settings, map, key);
	CHECK(def->type == SETTING_TYPE_KEYWORD);
	return keyword(settings, map, key, def);
}

bool setting_bool(struct settings *settings, struct setting_node *map, const char *key)
{
	if (map == NULL)
		return false;
	const struct setting_def *def = setting_def_of(settings, map, key);
	CHECK(def->type == SETTING_TYPE_BOOL && strcmp(def->range, "false, true") == 0);
	return keyword(settings, map, key, def) == 1;
}
