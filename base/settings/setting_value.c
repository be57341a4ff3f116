/* Typed values out of the tree. */
#include "base/core/mem.h"
#include "base/settings/setting_node.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct setting_node *ask(struct setting_node *map, const char *key)
{
	struct setting_node *node = map == NULL ? NULL : setting_node_find(map, key);
	if (node != NULL)
		node->asked = true;
	return node;
}

static const char *scalar_text(struct settings *settings, struct setting_node *node, const char *expected)
{
	if (node == NULL)
		return NULL;
	if (node->kind == SETTING_SCALAR)
		return node->text;
	setting_error(settings, node, expected, "give one value", "%s", node->kind == SETTING_MAP ? "a map" : "a list");
	return NULL;
}

void setting_note(struct settings *settings, const struct setting_node *map, const char *key,
	const struct setting_node *node, const char *value)
{
	char path[512], copy[256];
	if (map == NULL)
		return;
	setting_node_path(map, path, sizeof(path));
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "%s%s", used == 0 ? "" : ".", key);
	if (value != NULL && strlen(value) >= sizeof(copy)) {
		snprintf(copy, sizeof(copy), "%.*s...", (int)sizeof(copy) - 4, value);
		value = copy;
	}
	const struct setting_row row = {
		.key = path,
		/* The record copies them. */
		.value = (char *)(uintptr_t)value,
		.origin = node == NULL ? (char *)(uintptr_t) "default" : node->origin,
		.from = node == NULL ? SETTING_FROM_DEFAULT : node->from,
	};
	settings_record_add(settings->record, &row);
}

struct setting_node *setting_map(struct settings *settings, struct setting_node *map, const char *key)
{
	struct setting_node *node = ask(map, key);
	if (node == NULL && map != NULL) {
		node = setting_node_add(map, SETTING_MAP, key, map->origin);
		node->asked = true;
	}
	if (node == NULL || node->kind == SETTING_MAP)
		return node;
	setting_error(settings, node, "keys and values", "indent them below it", "%s",
		node->kind == SETTING_LIST ? "a list" : node->text);
	return NULL;
}

const char *setting_text(struct settings *settings, struct setting_node *map, const char *key, const char *otherwise)
{
	struct setting_node *node = ask(map, key);
	const char *text = scalar_text(settings, node, "a text");
	setting_note(settings, map, key, node, text != NULL ? text : otherwise);
	return text != NULL ? text : otherwise;
}

const char *setting_required_text(
	struct settings *settings, struct setting_node *map, const char *key, const char *expected)
{
	struct setting_node *node = ask(map, key);
	const char *text = scalar_text(settings, node, expected);
	setting_note(settings, map, key, node, text);
	if (text != NULL && text[0] != '\0')
		return text;
	if (node == NULL || text != NULL)
		setting_error(settings, node != NULL ? node : map, expected, "set it", "no '%s'", key);
	return "";
}

/* Digits alone, then a unit out of `units`; the unit's factor is multiplied in. */
struct unit {
	const char *name;
	uint64_t factor;
};

static enum err quantity_parse(const char *text, const struct unit *units, uint64_t *out)
{
	char *end = NULL;
	if (text[0] < '0' || text[0] > '9')
		return ERR_MALFORMED;
	errno = 0;
	uint64_t num = strtoull(text, &end, 10);
	if (errno != 0)
		return ERR_TOO_LARGE;
	for (size_t i = 0; units[i].name != NULL; i++)
		if (strcmp(end, units[i].name) == 0)
			return __builtin_mul_overflow(num, units[i].factor, out) ? ERR_TOO_LARGE : ERR_NONE;
	return ERR_MALFORMED;
}

static const struct unit durations[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}, {NULL, 0}};
static const struct unit sizes[] = {
	{"", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit numbers[] = {{"", 1}, {NULL, 0}};

static enum err quantity_parse_span(struct span text, const struct unit *units, uint64_t *out)
{
	char copy[32];
	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len) != NULL)
		return ERR_MALFORMED;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return quantity_parse(copy, units, out);
}

enum err duration_parse(struct span text, uint64_t *out_ms)
{
	return quantity_parse_span(text, durations, out_ms);
}

enum err number_parse(struct span text, uint64_t *out)
{
	return quantity_parse_span(text, numbers, out);
}

/* As it is written: with the largest unit that leaves no rest. */
static void quantity_format(uint64_t value, const struct unit *units, char out[32])
{
	const struct unit *best = &units[0];
	if (value == 0 && units == durations)
		best = &units[1];
	for (size_t i = 1; units[i].name != NULL && value != 0; i++)
		if (value % units[i].factor == 0)
			best = &units[i];
	snprintf(out, 32, "%" PRIu64 "%s", value / best->factor, best->name);
}

static uint64_t quantity_read(struct settings *settings, struct setting_node *map, const char *key,
	const struct unit *units, const char *kind, uint64_t min, uint64_t max, uint64_t otherwise)
{
	struct setting_node *node = ask(map, key);
	const char *text = scalar_text(settings, node, kind);
	uint64_t value;
	char expected[128], from[32], to[32];
	if (text == NULL)
		return otherwise;
	if (quantity_parse(text, units, &value) != ERR_NONE) {
		setting_error(settings, node, kind, "correct it", "'%s'", text);
		return otherwise;
	}
	if (value >= min && value <= max)
		return value;
	quantity_format(min, units, from);
	quantity_format(max, units, to);
	snprintf(expected, sizeof(expected), "%s between %s and %s", kind, from, to);
	setting_error(settings, node, expected, "choose one in the range", "'%s'", text);
	return otherwise;
}

static uint64_t quantity(struct settings *settings, struct setting_node *map, const char *key, const struct unit *units,
	const char *kind, uint64_t min, uint64_t max, uint64_t otherwise)
{
	char text[32];
	uint64_t value = quantity_read(settings, map, key, units, kind, min, max, otherwise);
	quantity_format(value, units, text);
	setting_note(settings, map, key, map == NULL ? NULL : setting_node_find(map, key), text);
	return value;
}

uint64_t setting_number(struct settings *settings, struct setting_node *map, const char *key, uint64_t min,
	uint64_t max, uint64_t otherwise)
{
	return quantity(settings, map, key, numbers, "a number", min, max, otherwise);
}

uint64_t setting_duration_ms(struct settings *settings, struct setting_node *map, const char *key, uint64_t min,
	uint64_t max, uint64_t otherwise)
{
	return quantity(
		settings, map, key, durations, "a duration such as 250ms, 5s, 10m, 1h or 7d", min, max, otherwise);
}

uint64_t setting_bytes(struct settings *settings, struct setting_node *map, const char *key, uint64_t min, uint64_t max,
	uint64_t otherwise)
{
	return quantity(settings, map, key, sizes, "a size such as 4096, 32KiB or 64MiB", min, max, otherwise);
}

static void words_join(const char *const *words, char *out, size_t cap)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; words[i] != NULL && used < cap; i++)
		used += (size_t)snprintf(out + used, cap - used, "%s%s", i == 0 ? "one of " : ", ", words[i]);
}

unsigned setting_keyword(struct settings *settings, struct setting_node *map, const char *key, const char *const *words,
	unsigned otherwise)
{
	char expected[128];
	words_join(words, expected, sizeof(expected));
	struct setting_node *node = ask(map, key);
	const char *text = scalar_text(settings, node, expected);
	setting_note(settings, map, key, node, text != NULL ? text : words[otherwise]);
	if (text == NULL)
		return otherwise;
	for (unsigned i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	setting_error(settings, node, expected, "choose one of them", "'%s'", text);
	return otherwise;
}

bool setting_bool(struct settings *settings, struct setting_node *map, const char *key, bool otherwise)
{
	static const char *const words[] = {"false", "true", NULL};
	return setting_keyword(settings, map, key, words, otherwise ? 1 : 0) == 1;
}
