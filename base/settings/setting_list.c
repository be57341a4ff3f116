#include "base/core/mem.h"
#include "base/settings/setting_node.h"
#include <inttypes.h>
#include <stdio.h>

/* "a, b" as a scalar becomes a list of two. Where there is a line end, each line is an item, spaces and commas
 * included: so a variable can carry items that have them. */
static void split(struct setting_node *node)
{
	char *text = TAKE_PTR(node->text);
	const char *between = strchr(text, '\n') != NULL ? "\n" : ", ";
	node->kind = SETTING_LIST;
	for (char *save = NULL, *word = strtok_r(text, between, &save); word != NULL;
		word = strtok_r(NULL, between, &save))
		setting_node_add(node, SETTING_SCALAR, NULL, node->origin)->text = mem_strdup(word);
	mem_free(text);
}

/* A list of plain values, on one line; of maps the values themselves are noted when they are asked for. */
static void note_items(struct settings *settings, const struct setting_node *map, const struct setting_node *list)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(SETTINGS_FILE_MAX);
	for (const struct setting_node *item = list->first; item != NULL; item = item->next)
		if (item->kind != SETTING_SCALAR ||
			buf_printf(&text, "%s%s", item == list->first ? "" : ", ", item->text) != ERR_NONE)
			return;
	setting_note(settings, map, list->key, list, buf_cstr(&text));
}

size_t setting_list(
	struct settings *settings, struct setting_node *map, const char *key, struct setting_node **out_list)
{
	struct setting_node *node = map == NULL ? NULL : setting_node_find(map, key);
	*out_list = NULL;
	if (node == NULL) {
		setting_note(settings, map, key, NULL, NULL);
		return 0;
	}
	node->asked = true;
	if (node->kind == SETTING_SCALAR)
		split(node);
	if (node->kind == SETTING_MAP) {
		setting_error(settings, node, "a list", "begin each item with '- '", "it is a map");
		setting_node_clear(node); /* one error for it: what lies below has no meaning of its own */
		return 0;
	}
	note_items(settings, map, node);
	*out_list = node;
	return node->num;
}

struct setting_node *setting_empty_list(const struct setting_node *map, const char *key)
{
	struct setting_node *node = map == NULL ? NULL : setting_node_find(map, key);
	bool is_empty =
		node != NULL && (node->kind == SETTING_LIST ? node->num == 0
							    : node->kind == SETTING_SCALAR &&
								      strspn(node->text, ", ") == strlen(node->text));
	return is_empty ? node : NULL;
}

static struct setting_node *item_of(struct setting_node *list, size_t i)
{
	struct setting_node *node = list->first;
	while (i-- > 0)
		node = node->next;
	node->asked = true;
	return node;
}

struct setting_node *setting_item_map(struct settings *settings, struct setting_node *list, size_t i)
{
	struct setting_node *node = item_of(list, i);
	if (node->kind == SETTING_MAP)
		return node;
	setting_error(settings, node, "keys and values", "write '- key: value'", "it is %s",
		node->kind == SETTING_LIST ? "a list" : "one value");
	return NULL;
}

const char *setting_item_text(struct settings *settings, struct setting_node *list, size_t i)
{
	struct setting_node *node = item_of(list, i);
	if (node->kind == SETTING_SCALAR)
		return node->text;
	setting_error(settings, node, "one value", "write '- value'", "it is %s",
		node->kind == SETTING_MAP ? "a map" : "a list");
	return "";
}

uint64_t setting_item_number(struct settings *settings, struct setting_node *list, size_t i)
{
	const struct setting_def *def = setting_def_of(settings, list, NULL);
	const char *text = setting_item_text(settings, list, i);
	uint64_t value;
	char expected[128];
	if (setting_quantity_number(span_of_str(text), &value) == ERR_NONE && setting_is_in_range(def, value))
		return value;
	snprintf(expected, sizeof(expected), "a %s, %s", def->unit, def->range);
	setting_error(settings, item_of(list, i), expected, "correct it", "the value is '%s'", text);
	return 0;
}

/* Absent or empty where the table requires it. A map there is an error already. */
static void must_be_given(struct settings *settings, struct setting_node *map, const char *key)
{
	const struct setting_node *node = setting_node_find(map, key);
	if (strcmp(setting_def_of(settings, map, key)->otherwise, SETTING_REQUIRED) == 0 &&
		(node == NULL || node->kind != SETTING_MAP))
		setting_missing(settings, map, key, "networks such as [192.0.2.0/24]", "list them");
}

struct network *setting_networks(struct settings *settings, struct setting_node *map, const char *key, size_t *out_num)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, key, &list), good = 0;
	if (num == 0 && map != NULL)
		must_be_given(settings, map, key);
	struct network *networks = num == 0 ? NULL : mem_calloc(num, sizeof(*networks));
	for (size_t i = 0; i < num; i++) {
		const char *text = setting_item_text(settings, list, i);
		if (network_parse(span_of_str(text), &networks[good]) == ERR_NONE)
			good++;
		else
			setting_error(settings, item_of(list, i),
				"a network such as 192.0.2.0/24 or 2001:db8::/32 without host bits", "correct it",
				"the value is '%s'", text);
	}
	*out_num = good;
	return networks;
}
