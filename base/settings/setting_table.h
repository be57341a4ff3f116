/* A program's settings as one table, made from its settings.def: what is read and refused, what --help and --keys
 * print, what a reload takes over. */
#pragma once

#include "base/core/span.h"
#include "base/settings/setting_renamed.h"
#include <stdbool.h>

enum setting_type {
	SETTING_TYPE_TEXT,
	SETTING_TYPE_PATH,    /* a text: of a file, a folder or a socket; a relative one is below the working folder */
	SETTING_TYPE_KEYWORD, /* one of the range */
	SETTING_TYPE_BOOL,
	SETTING_TYPE_NUMBER,
	SETTING_TYPE_DURATION,
	SETTING_TYPE_SIZE,
	SETTING_TYPE_TEXTS,    /* lists; on one line separated by commas */
	SETTING_TYPE_NUMBERS,  /* the range is each one's */
	SETTING_TYPE_NETWORKS, /* such as 192.0.2.0/24 */
	SETTING_TYPE_SECTIONS, /* a list of sections with keys of their own, in the file only */
};
const char *setting_type_text(enum setting_type type); /* as --keys prints it */

#define SETTING_REQUIRED      "required"      /* as a default: there is none, and the program needs a value */
#define SETTING_AUTOMATIC     "automatic"     /* the program computes a number; reads as 0, and may be written out */
#define SETTING_WHOLE_SECONDS "whole seconds" /* as a unit of a duration: a fraction is an error */

enum { RESTART = 0 }; /* takes effect at a restart; other numbers are the program's own parts of a reload */

struct setting_def {
	const char *key; /* "timeouts.connect"; in a list "services[].name" */
	enum setting_type type;
	const char *unit;      /* what a number counts: "connections"; "": nothing in particular */
	const char *range;     /* "1 to 64", "off, auto, require"; "": any */
	const char *otherwise; /* the default as it would be written in the file; "": none */
	unsigned reload;       /* RESTART or a part of a reload */
	const char *help;      /* one sentence */
};

/* One row of a settings.def, which is included with this as SETTING. */
#define SETTING_DEF(key, type, unit, range, otherwise, reload, help)                                                   \
	{key, SETTING_TYPE_##type, unit, range, otherwise, reload, help},

struct setting_table {
	const char *prefix; /* of the variables: "HANDFAST_CONTROL" */
	const struct setting_def *rows;
	size_t num_rows;
	const struct setting_renamed *renamed; /* ends with a row without keys; NULL: none */
	const char *former_prefix;             /* of variables before this release; NULL: none */
};

/* The row of `key`, whatever the indexes in it ("services[3].name"); NULL: none. */
const struct setting_def *setting_table_find(const struct setting_table *table, const char *key);
/* The same for the name of a flag, with '-' or '_'; NULL: none, or one that only the file can give. */
const struct setting_def *setting_table_find_flag(const struct setting_table *table, struct span name);
/* The same for a variable's name behind the prefix: "MESH_LEAF_TTL". */
const struct setting_def *setting_table_find_variable(const struct setting_table *table, const char *name);
bool setting_def_is_in_file_only(const struct setting_def *def);
