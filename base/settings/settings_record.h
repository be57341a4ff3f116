/* The settings that a program took, key by key, each with where it came from: for /config, and to name what a reload
 * changed. Made by the getters of settings.h themselves, so that no key is missing. */
#pragma once

#include "base/core/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

enum setting_from {
	SETTING_FROM_FILE,
	SETTING_FROM_ENVIRONMENT,
	SETTING_FROM_FLAG,
	SETTING_FROM_DEFAULT,
};
const char *setting_from_text(enum setting_from from); /* "file", ... */

struct setting_row {
	char *key;    /* "timeouts.resolve", "services[0].name" */
	char *value;  /* as it would be written in the file: "5s"; NULL: none */
	char *origin; /* "control.yaml:12", "HANDFAST_X", "--flag", "default" */
	enum setting_from from;
	bool waits; /* the settings have another value now, `next`, which takes effect at a restart */
	char *next;
};
bool setting_row_has_value_of(const struct setting_row *one, const struct setting_row *other);

struct settings_record { /* in the order in which the program asked */
	struct setting_row *rows;
	size_t num;
};

struct settings_record *settings_record_new(void);
void settings_record_free(struct settings_record *record);
DEFINE_CLEANUP(struct settings_record *, settings_record_free)
void settings_record_add(struct settings_record *record, const struct setting_row *row);               /* copied */
const struct setting_row *settings_record_find(const struct settings_record *record, const char *key); /* NULL: none */
/* The same, fast when two records are walked together: it looks at *at first, which moves on. Begin with 0. */
const struct setting_row *settings_record_search(const struct settings_record *record, size_t *at, const char *key);

/* Calls for each key whose value differs; a row is NULL where the key is in one of them only. */
typedef void settings_record_change_fn(void *arg, const struct setting_row *old, const struct setting_row *fresh);
void settings_record_compare(const struct settings_record *old, const struct settings_record *fresh,
	settings_record_change_fn *on_change, void *arg);
