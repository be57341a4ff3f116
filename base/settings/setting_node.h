/* The tree behind settings.h. Only files of this folder include this. */
#pragma once

#include "base/settings/settings.h"
#include "base/settings/settings_record.h"

enum setting_kind { SETTING_SCALAR, SETTING_MAP, SETTING_LIST };

struct setting_node {
	enum setting_kind kind;
	char *key;    /* within a map; NULL in a list */
	char *text;   /* scalars */
	char *origin; /* "control.yaml:12", "HANDFAST_X", "--flag"; owned */
	enum setting_from from;
	bool asked; /* the program has asked for it */
	struct setting_node *parent, *first, *last, *next;
	size_t num;
};

struct settings {
	const struct setting_table *table;
	struct setting_node *root;
	struct buf errors, warnings;
	unsigned num_errors;
	bool is_unread; /* the file, or its end: what is missing may be there */
	struct settings_record *record;
};

/* Digits alone, leading zeros too, which settings files have had. ERR_MALFORMED, ERR_TOO_LARGE. */
enum err setting_quantity_number(struct span text, uint64_t *out) _must_use_;

#define SETTINGS_ERRORS_MAX (64u * 1024)
#define SETTINGS_DEPTH_MAX  16 /* nesting: a stack that a file must not choose */
#define SETTINGS_NODES_MAX  20000

struct setting_node *setting_node_add(
	struct setting_node *parent, enum setting_kind kind, const char *key, const char *origin);
void setting_node_clear(struct setting_node *node); /* frees what is below and its text */
struct setting_node *setting_node_find(const struct setting_node *map, const char *key);
/* An error at the place of `origin`: `path` has another name now. */
void setting_error_renamed(struct settings *settings, const char *origin, const struct setting_renamed *renamed);
/* Notes a value that the program was given for `key` of `map` (NULL: the section is wrong, nothing is noted). `node`:
 * NULL when it is the default. `value` NULL: none. */
void setting_note(struct settings *settings, const struct setting_node *map, const char *key,
	const struct setting_node *node, const char *value);

struct setting_node *setting_node_ask(struct setting_node *map, const char *key); /* NULL: not given */
/* NULL: no node, or with an error no scalar. */
const char *setting_scalar_text(struct settings *settings, struct setting_node *node, const char *expected);
/* The table's row of `key` of `map`, or of a list (`key` NULL). */
const struct setting_def *setting_def_of(
	const struct settings *settings, const struct setting_node *map, const char *key);
bool setting_is_in_range(const struct setting_def *def, uint64_t value);
/* "mesh.networks" or "" for the root; for lists "services[2].name". */
const char *setting_node_path(const struct setting_node *node, char *out, size_t cap);
