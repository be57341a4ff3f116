#include "base/settings/setting_node.h"

#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/settings/setting_nearest.h"
#include <stdarg.h>
#include <stdio.h>

struct settings *settings_new(const struct setting_table *table)
{
	struct settings *settings = mem_new(struct settings);
	settings->table = table;
	settings->root = setting_node_add(NULL, SETTING_MAP, NULL, "settings");
	settings->root->asked = true;
	buf_init(&settings->errors, SETTINGS_ERRORS_MAX);
	buf_init(&settings->warnings, SETTINGS_ERRORS_MAX);
	settings->record = settings_record_new();
	return settings;
}

void settings_free(struct settings *settings)
{
	setting_node_clear(settings->root);
	mem_free(settings->root->origin);
	mem_free(settings->root);
	buf_done(&settings->errors);
	buf_done(&settings->warnings);
	settings_record_free(settings->record);
	mem_free(settings);
}

struct setting_node *settings_root(struct settings *settings)
{
	return settings->root;
}

/* Inserts "the settings file" before the path: "cannot open the settings file /x: ...", "the settings file / is ...".
 */
static void file_error(struct settings *settings, const struct why *why)
{
	static const char cannot[] = "cannot ";
	const char *verb_end =
		strncmp(why->got, cannot, sizeof(cannot) - 1) == 0 ? strchr(why->got + sizeof(cannot) - 1, ' ') : NULL;
	int len = verb_end == NULL ? 0 : (int)(verb_end + 1 - why->got);
	settings->is_unread = true;
	setting_error(
		settings, NULL, why->expected, why->fix, "%.*sthe settings file %s", len, why->got, why->got + len);
}

void settings_read_file(struct settings *settings, const char *path)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(SETTINGS_FILE_MAX);
	struct why why = {0};
	if (fd_read_file(path, SETTINGS_FILE_MAX, &content, &why) == ERR_NONE)
		settings_read_text(settings, path, buf_span(&content));
	else
		file_error(settings, &why);
}

/* --- errors --- */

static void line_add(struct settings *settings, const char *origin, const char *path, const struct why *why)
{
	settings->num_errors++;
	/* Past the maximum they are still counted. */
	char text[700];
	enum err ignored = buf_printf(&settings->errors, "%s%s%s%s: %s\n", origin, path[0] == '\0' ? "" : " (", path,
		path[0] == '\0' ? "" : ")", why_format(why, text, sizeof(text)));
	(void)ignored;
}

void setting_error(struct settings *settings, const struct setting_node *node, const char *expected, const char *fix,
	const char *got, ...)
{
	char text[256], path[256];
	struct why why = {0};
	va_list args;
	va_start(args, got);
	vsnprintf(text, sizeof(text), got, args);
	va_end(args);
	why_set(&why, ERR_CONFIG, expected, fix, "%s", text);
	line_add(settings, node == NULL ? "settings" : node->origin, setting_node_path(node, path, sizeof(path)), &why);
}

void setting_error_why(struct settings *settings, struct setting_node *node, const char *key, const struct why *why)
{
	char path[256];
	struct setting_node *place = key == NULL ? node : setting_node_find(node, key);
	if (place == NULL)
		place = node;
	line_add(settings, place == NULL ? "settings" : place->origin, setting_node_path(place, path, sizeof(path)),
		why);
}

void setting_missing(
	struct settings *settings, struct setting_node *place, const char *key, const char *expected, const char *fix)
{
	if (!settings->is_unread)
		setting_error(settings, place, expected, fix, "'%s' is missing", key);
}

void setting_error_renamed(struct settings *settings, const char *origin, const struct setting_renamed *renamed)
{
	struct why why = {0};
	char expected[128];
	snprintf(expected, sizeof(expected), "the name %s", renamed->new_key);
	why_set(&why, ERR_CONFIG, expected, "write the new name", "'%s' is its name in 0.1.0", renamed->old_key);
	line_add(settings, origin, "", &why);
}

/* A section of which a setting was renamed, whose name is no other setting's. */
static bool has_renamed_below(const struct settings *settings, const char *path)
{
	size_t len = strlen(path);
	for (const struct setting_renamed *row = settings->table->renamed; row != NULL && row->old_key != NULL; row++)
		if (strncmp(row->old_key, path, len) == 0 && row->old_key[len] == '.')
			return true;
	return false;
}

/* "page: {port: ...}" for "page.port". */
static void put_nested(const char *key, char *out, size_t size)
{
	size_t at = 0;
	unsigned depth = 0;
	for (size_t len = strcspn(key, "."); key[len] == '.' && at < size; len = strcspn(key, "."), depth++) {
		at += (size_t)snprintf(out + at, size - at, "%.*s: {", (int)len, key);
		key += len + 1;
	}
	if (at < size)
		(void)snprintf(out + at, size - at, "%s: ...%.*s", key, (int)depth, "}}}}}}}}");
}

static void error_unknown(struct settings *settings, const struct setting_node *node, const char *path)
{
	char nearest[SETTING_NEAREST_MAX], expected[128], fix[160];
	const char *key = node->key != NULL ? node->key : "an item";
	if (setting_nearest(settings->table, span_of_str(path), true, nearest) == NULL) {
		setting_error(settings, node, "a known key", "remove it, or check the spelling in --keys",
			"%s is not a setting", key);
		return;
	}
	if (strchr(key, '.') != NULL) {
		char nested[SETTING_NEAREST_MAX + 32];
		put_nested(nearest, nested, sizeof(nested));
		(void)snprintf(fix, sizeof(fix), "write %s", nested);
		setting_error(settings, node, "sections nested, as in YAML", fix, "%s is a key with a dot", key);
		return;
	}
	(void)snprintf(expected, sizeof(expected), "a known key, such as %s", nearest);
	(void)snprintf(fix, sizeof(fix), "write %s, or remove it; --keys lists all", nearest);
	setting_error(settings, node, expected, fix, "%s is not a setting", key);
}

static void unasked_below(struct settings *settings, const struct setting_node *node)
{
	for (const struct setting_node *child = node->first; child != NULL; child = child->next) {
		char path[256];
		setting_node_path(child, path, sizeof(path));
		const struct setting_renamed *renamed =
			setting_renamed_find(settings->table->renamed, path, strlen(path));
		if (!child->asked && renamed != NULL)
			setting_error_renamed(settings, child->origin, renamed);
		else if (!child->asked && !(child->kind == SETTING_MAP && has_renamed_below(settings, path)))
			error_unknown(settings, child, path);
		else
			unasked_below(settings, child);
	}
}

unsigned settings_finish(struct settings *settings)
{
	unasked_below(settings, settings->root);
	return settings->num_errors;
}

const char *settings_errors(struct settings *settings)
{
	return buf_cstr(&settings->errors);
}

/* Room for the last line, which counts what did not fit. */
enum { REST_ROOM = 160 };

static void put_rest(struct buf *out, unsigned num)
{
	/* A buffer without room for it has errors already. */
	enum err ignored = buf_printf(out,
		"settings: %u more %s not shown; expected: settings without errors; fix: correct the others first\n",
		num, num == 1 ? "error is" : "errors are");
	(void)ignored;
}

void settings_errors_put(struct settings *settings, struct buf *out)
{
	unsigned num_left = settings->num_errors;
	for (const char *line = settings_errors(settings); *line != '\0'; num_left--) {
		size_t len = strcspn(line, "\n") + 1;
		if (buf_room(out) < len + REST_ROOM || buf_append(out, span_of(line, len)) != ERR_NONE)
			break;
		line += len;
	}
	if (num_left > 0)
		put_rest(out, num_left);
}

const char *settings_warnings(struct settings *settings)
{
	return buf_cstr(&settings->warnings);
}

struct settings_record *settings_take_record(struct settings *settings)
{
	return TAKE_PTR(settings->record);
}
