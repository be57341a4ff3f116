/* A program's settings: one YAML file, overlaid by the environment, overlaid by flags. Reading collects every error
 * instead of stopping at the first, each with its place, what was expected, what came and what to do; an unknown key
 * is an error, too. A reader asks for each key once, by its path from the root ("mesh.networks"). */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"
#include "base/settings/setting_table.h"

#define SETTINGS_FILE_MAX  (1024u * 1024)
#define SETTING_PATH_MAX   4000
#define SETTING_SOCKET_MAX 107 /* sun_path less its NUL */

struct settings;        /* the whole tree and its errors */
struct settings_record; /* what came of it: settings_record.h */
struct setting_node;    /* a map, a list or a scalar in it; borrowed from its settings */

/* `table` is borrowed; mesh.leaf_ttl of the prefix HANDFAST_CONTROL is HANDFAST_CONTROL_MESH_LEAF_TTL. */
struct settings *settings_new(const struct setting_table *table);
void settings_free(struct settings *settings);
DEFINE_CLEANUP(struct settings *, settings_free)

/* The file first (at most once), then the environment, then flags. Errors are collected, none is returned. */
void settings_read_file(struct settings *settings, const char *path);
void settings_read_text(struct settings *settings, const char *name, struct span yaml);
/* Every variable of the program's prefix whose rest is a key that the table allows there. An empty one counts as not
 * set; an unknown one is a warning, unless it is one that Kubernetes makes of a Service's name. A list is given
 * separated by commas. */
void settings_read_environment(struct settings *settings, char *const *environment);
/* The same for a prefix that releases before this one had, of which only known keys are looked at: each is taken, with
 * a warning. Call it before settings_read_environment(), which beats it. */
void settings_read_former_environment(struct settings *settings, const char *prefix, char *const *environment);
/* One value of a flag "--KEY", which base/settings/command_line found among the keys: beats what was read before. */
void settings_read_flag(struct settings *settings, const char *key, const char *value);

struct setting_node *settings_root(struct settings *settings); /* a map, perhaps empty */

/* --- maps: each key is a row of the table, which has its range and its default; so a map is never NULL here unless it
 * is an item that was no map (setting_item_map()): its keys read as nothing --- */
/* Empty where there is none, or with an error where something else is there. */
struct setting_node *setting_map(struct settings *settings, struct setting_node *map, const char *key);
/* Scalars: the default is returned when the key is absent or wrong (then with an error). Borrowed from settings. */
const char *setting_text(struct settings *settings, struct setting_node *map, const char *key); /* NULL: none */
/* A path of the file system with a default: an error when it is empty or has more than `max` bytes. */
const char *setting_path(struct settings *settings, struct setting_node *map, const char *key, size_t max);
const char *setting_required_text(struct settings *settings, struct setting_node *map, const char *key,
	const char *expected); /* "" when absent */
uint64_t setting_number(struct settings *settings, struct setting_node *map, const char *key);
uint64_t setting_duration_ms(struct settings *settings, struct setting_node *map, const char *key); /* "250ms", "7d" */
uint64_t setting_bytes(struct settings *settings, struct setting_node *map, const char *key); /* "64MiB", "4096" */
bool setting_bool(struct settings *settings, struct setting_node *map, const char *key);
/* Index into the keywords of the row's range. */
unsigned setting_keyword(struct settings *settings, struct setting_node *map, const char *key);
/* Where another setting makes the default, or bounds it. */
uint64_t setting_number_or(struct settings *settings, struct setting_node *map, const char *key, uint64_t otherwise);
uint64_t setting_duration_ms_at_most(
	struct settings *settings, struct setting_node *map, const char *key, uint64_t most);

/* --- lists --- */
/* The list at `key`; a scalar counts as its items, separated by commas, or by line ends where it has one. Absent: 0
 * items. */
size_t setting_list(
	struct settings *settings, struct setting_node *map, const char *key, struct setting_node **out_list);
struct setting_node *setting_item_map(
	struct settings *settings, struct setting_node *list, size_t i); /* NULL with an error: no map */
/* The list at `key` where it is there and has no item, for an error at its place; else NULL. */
struct setting_node *setting_empty_list(const struct setting_node *map, const char *key);
const char *setting_item_text(
	struct settings *settings, struct setting_node *list, size_t i); /* "" with an error: no scalar */
/* 0 with an error: not in the range of the list's row, whose unit the error names. */
uint64_t setting_item_number(struct settings *settings, struct setting_node *list, size_t i);
/* Every item as a network; the caller frees with mem_free(). Wrong ones are errors and left out. */
struct network *setting_networks(struct settings *settings, struct setting_node *map, const char *key, size_t *out_num);

/* --- errors --- */
/* At the place of `node` (NULL: the root). `got` is a format. */
void setting_error(struct settings *settings, const struct setting_node *node, const char *expected, const char *fix,
	const char *got, ...) _printf_(5, 6);
/* `key` is missing at this place: an error, unless the file could not be read to its end. */
void setting_missing(
	struct settings *settings, struct setting_node *place, const char *key, const char *expected, const char *fix);
/* `why` at the place of the node (or of `key` in a map, where key is not NULL). */
void setting_error_why(struct settings *settings, struct setting_node *node, const char *key, const struct why *why);
/* Call when everything has been asked for: unknown keys become errors. Number of errors in all. */
unsigned settings_finish(struct settings *settings);
const char *settings_errors(struct settings *settings); /* a line each; "" when there is none */
/* Appends the lines that fit, and a line that counts the others. */
void settings_errors_put(struct settings *settings, struct buf *out);
const char *settings_warnings(struct settings *settings); /* the same: what does not keep the program from starting */

/* Every value that was asked for, and where it came from. The caller owns it; once. */
struct settings_record *settings_take_record(struct settings *settings);

/* The parsers behind the typed getters, for other callers. */
enum err duration_parse(struct span text, uint64_t *out_ms) _must_use_;
