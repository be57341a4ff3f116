/* Numbers, durations and sizes: digits and a unit, in the range of the table's row. */
#include "base/core/check.h"
#include "base/settings/setting_node.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}, {NULL, 0}};
static const struct unit sizes[] = {
	{"", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit numbers[] = {{"", 1}, {NULL, 0}};

/* Digits alone, then one of the units, whose factor is multiplied in. */
static enum err quantity_parse_text(const char *text, const struct unit *units, uint64_t *out)
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

static enum err quantity_parse(struct span text, const struct unit *units, uint64_t *out)
{
	char copy[32];
	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len) != NULL)
		return ERR_MALFORMED;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return quantity_parse_text(copy, units, out);
}

enum err duration_parse(struct span text, uint64_t *out_ms)
{
	return quantity_parse(text, durations, out_ms);
}

enum err setting_quantity_number(struct span text, uint64_t *out)
{
	return quantity_parse(text, numbers, out);
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

/* --- the table's row --- */

static const struct unit *units_of(const struct setting_def *def)
{
	return def->type == SETTING_TYPE_DURATION ? durations : def->type == SETTING_TYPE_SIZE ? sizes : numbers;
}

static const char *kind_of(const struct setting_def *def)
{
	return def->type == SETTING_TYPE_DURATION ? "a duration such as 250ms, 5s, 10m, 1h or 7d"
	       : def->type == SETTING_TYPE_SIZE   ? "a size such as 4096, 32KiB or 64MiB"
						  : "a number";
}

/* "1 to 64" */
bool setting_is_in_range(const struct setting_def *def, uint64_t value)
{
	const struct unit *units = units_of(def);
	const char *to = strstr(def->range, " to ");
	uint64_t min, max;
	CHECK(to != NULL);
	CHECK(quantity_parse(span_of(def->range, (size_t)(to - def->range)), units, &min) == ERR_NONE);
	CHECK(quantity_parse_text(to + 4, units, &max) == ERR_NONE);
	return value >= min && value <= max;
}

/* What counts in seconds takes no fraction, which would be cut off in silence. */
static bool has_unit_of(const struct setting_def *def, uint64_t value)
{
	return strcmp(def->unit, SETTING_WHOLE_SECONDS) != 0 || value % 1000 == 0;
}

static bool is_automatic(const struct setting_def *def, const char *text)
{
	return strcmp(def->otherwise, SETTING_AUTOMATIC) == 0 && strcmp(text, SETTING_AUTOMATIC) == 0;
}

static uint64_t default_of(const struct setting_def *def)
{
	uint64_t value = 0;
	bool has_number = def->otherwise[0] != '\0' && strcmp(def->otherwise, SETTING_REQUIRED) != 0 &&
			  !is_automatic(def, def->otherwise);
	char text[32];
	CHECK(!has_number || quantity_parse_text(def->otherwise, units_of(def), &value) == ERR_NONE);
	quantity_format(value, units_of(def), text);
	CHECK(!has_number || strcmp(def->otherwise, text) == 0); /* as the record would write it: "1d", not "24h" */
	return value;
}

/* --- reading --- */

static uint64_t quantity_read(
	struct settings *settings, struct setting_node *node, const struct setting_def *def, uint64_t otherwise)
{
	const char *kind = kind_of(def), *text = setting_scalar_text(settings, node, kind);
	uint64_t value;
	char expected[128];
	if (text == NULL)
		return otherwise;
	if (is_automatic(def, text))
		return 0;
	if (quantity_parse_text(text, units_of(def), &value) == ERR_NONE && setting_is_in_range(def, value) &&
		has_unit_of(def, value))
		return value;
	snprintf(expected, sizeof(expected), "%s, %s%s%s", kind, def->range,
		strcmp(def->unit, SETTING_WHOLE_SECONDS) == 0 ? ", in whole seconds" : "",
		strcmp(def->otherwise, SETTING_AUTOMATIC) == 0 ? ", or " SETTING_AUTOMATIC : "");
	setting_error(settings, node, expected, "correct it", "the value is '%s'", text);
	return otherwise;
}

static uint64_t quantity(struct settings *settings, struct setting_node *map, const char *key,
	const struct setting_def *def, uint64_t otherwise)
{
	char text[32];
	struct setting_node *node = setting_node_ask(map, key);
	uint64_t value = quantity_read(settings, node, def, otherwise);
	bool is_computed = value == 0 && is_automatic(def, def->otherwise);
	bool is_missing = node == NULL && value == 0 && strcmp(def->otherwise, SETTING_REQUIRED) == 0;
	quantity_format(value, units_of(def), text);
	setting_note(settings, map, key, node, is_computed ? SETTING_AUTOMATIC : is_missing ? NULL : text);
	return value;
}

static uint64_t quantity_of_type(
	struct settings *settings, struct setting_node *map, const char *key, enum setting_type type)
{
	if (map == NULL)
		return 0;
	const struct setting_def *def = setting_def_of(settings, map, key);
	CHECK(def->type == type);
	return quantity(settings, map, key, def, default_of(def));
}

uint64_t setting_number(struct settings *settings, struct setting_node *map, const char *key)
{
	return quantity_of_type(settings, map, key, SETTING_TYPE_NUMBER);
}

uint64_t setting_duration_ms(struct settings *settings, struct setting_node *map, const char *key)
{
	return quantity_of_type(settings, map, key, SETTING_TYPE_DURATION);
}

uint64_t setting_bytes(struct settings *settings, struct setting_node *map, const char *key)
{
	return quantity_of_type(settings, map, key, SETTING_TYPE_SIZE);
}

uint64_t setting_number_or(struct settings *settings, struct setting_node *map, const char *key, uint64_t otherwise)
{
	return map == NULL ? 0 : quantity(settings, map, key, setting_def_of(settings, map, key), otherwise);
}

uint64_t setting_duration_ms_at_most(
	struct settings *settings, struct setting_node *map, const char *key, uint64_t most)
{
	if (map == NULL)
		return 0;
	const struct setting_def *def = setting_def_of(settings, map, key);
	uint64_t otherwise = default_of(def);
	return quantity(settings, map, key, def, otherwise < most ? otherwise : most);
}
