#include "base/settings/settings_reload.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 800, PARTS_MAX = 16 }; /* of the keys in one line of the log; of a reload */

struct names {
	char text[NAMES_MAX];
	unsigned num;
};

struct reload {
	const struct settings_reload *options;
	struct names applied, waiting;
	bool is_applied[PARTS_MAX];
};

/* "services[3].ports[0].port" is shown as "services". */
static size_t shown_len(const char *key)
{
	return strcspn(key, "[");
}

static bool has_name(const struct names *names, const char *key, size_t len)
{
	for (const char *at = names->text; (at = strstr(at, key)) != NULL; at++)
		if ((at == names->text || at[-1] == ' ') && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

static void name_add(struct names *names, const char *key)
{
	char shown[128];
	snprintf(shown, sizeof(shown), "%.*s", (int)shown_len(key), key);
	size_t used = strlen(names->text);
	if (has_name(names, shown, strlen(shown)))
		return;
	if (used + strlen(shown) + 3 < sizeof(names->text))
		snprintf(names->text + used, sizeof(names->text) - used, "%s%s", used == 0 ? "" : ", ", shown);
	names->num++;
}

static unsigned part_of(const struct settings_reload *options, const char *key)
{
	const struct setting_def *def = setting_table_find(options->table, key);
	CHECK(def != NULL && def->reload < options->num_parts);
	return def->reload;
}

static void apply_once(struct reload *reload, unsigned part)
{
	if (reload->is_applied[part])
		return;
	reload->is_applied[part] = true;
	reload->options->parts[part](reload->options->program, reload->options->fresh_config);
}

static void on_change(void *arg, const struct setting_row *old, const struct setting_row *fresh)
{
	struct reload *reload = arg;
	const char *key = old != NULL ? old->key : fresh->key;
	unsigned part = part_of(reload->options, key);
	name_add(part != RESTART ? &reload->applied : &reload->waiting, key);
	if (part != RESTART)
		apply_once(reload, part);
}

static void merge_row(const struct reload *reload, struct settings_record *merged, const struct setting_row *old,
	const struct setting_row *fresh)
{
	if (old == NULL || part_of(reload->options, fresh->key) != RESTART) {
		settings_record_add(merged, fresh);
		return;
	}
	struct setting_row row = *old;
	row.waits = !setting_row_has_value_of(old, fresh);
	row.next = row.waits ? fresh->value : NULL;
	settings_record_add(merged, &row);
}

/* In the order of the fresh ones. What waits for a restart has fixed keys, so that none of it is in the old ones alone.
 */
static struct settings_record *merge(
	const struct reload *reload, const struct settings_record *old, const struct settings_record *fresh)
{
	struct settings_record *merged = settings_record_new();
	size_t at = 0;
	for (size_t i = 0; i < fresh->num; i++)
		merge_row(reload, merged, settings_record_search(old, &at, fresh->rows[i].key), &fresh->rows[i]);
	return merged;
}

static void log_outcome(const struct reload *reload)
{
	const char *component = reload->options->component;
	if (reload->applied.num == 0 && reload->waiting.num == 0)
		log_notice(component, "the settings were read again: nothing changed");
	if (reload->applied.num != 0)
		log_notice(component, "the settings were read again: in force now: %s", reload->applied.text);
	if (reload->waiting.num != 0)
		log_warning(component, "the settings were read again: changed, but in force only after a restart: %s",
			reload->waiting.text);
}

void settings_reload_commit(
	const struct settings_reload *options, struct settings_record **in_force, const struct settings_record *fresh)
{
	struct reload reload = {.options = options};
	CHECK(options->num_parts <= PARTS_MAX);
	settings_record_compare(*in_force, fresh, on_change, &reload);
	struct settings_record *merged = merge(&reload, *in_force, fresh);
	settings_record_free(*in_force);
	*in_force = merged;
	log_outcome(&reload);
}

/* With its three clauses as keys of their own where the log is JSON. */
static void log_error_line(const char *line)
{
	struct why why = {0};
	if (why_parse(line, ERR_CONFIG, &why))
		log_why(LOG_LEVEL_ERROR, "settings", "the settings have an error", &why);
	else
		log_lines(LOG_LEVEL_ERROR, "settings", line);
}

void settings_reload_roll_back(const char *component, const char *errors)
{
	char line[800];
	for (const char *end; (end = strchr(errors, '\n')) != NULL; errors = end + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)(end - errors), errors);
		log_error_line(line);
	}
	log_error(component, "the settings were read again: they have errors; nothing was taken over");
}
