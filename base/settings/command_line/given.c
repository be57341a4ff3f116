#include "base/settings/command_line/given.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMPONENT "settings"
enum { NAME_MAX_LEN = 128 };

/* "control.address" is PREFIX_CONTROL_ADDRESS. */
static void variable_of(const struct setting_table *table, const char *key, char out[NAME_MAX_LEN])
{
	size_t len = (size_t)snprintf(out, NAME_MAX_LEN, "%s_%s", table->prefix, key);
	for (size_t i = 0; i < len && i < NAME_MAX_LEN && out[i] != '\0'; i++)
		out[i] = (char)(out[i] == '.' ? '_' : toupper((unsigned char)out[i]));
}

static char *absolute(const char *path)
{
	char folder[PATH_MAX];
	if (path[0] == '/' || getcwd(folder, sizeof folder) == NULL)
		return mem_strdup(path);
	return mem_printf("%s/%s", folder, path);
}

/* --- what this process was given --- */

static enum err put_record(struct buf *out, const char *text)
{
	return buf_append(out, span_of(text, strlen(text) + 1));
}

static enum err put_variable(struct buf *out, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return ERR_NONE; /* an empty one counts as not set */
	_cleanup_(mem_freep) char *record = mem_printf("%s=%s", name, value);
	return put_record(out, record);
}

static enum err put_settings(const struct command_line *line, struct buf *out)
{
	const struct setting_table *table = line->program->settings;
	for (size_t i = 0; i < table->num_rows; i++) {
		char name[NAME_MAX_LEN];
		if (setting_def_is_in_file_only(&table->rows[i]))
			continue;
		variable_of(table, table->rows[i].key, name);
		const char *flag = command_line_setting(line, table->rows[i].key);
		RETURN_IF_ERR(put_variable(out, name, flag != NULL ? flag : getenv(name)));
	}
	return ERR_NONE;
}

enum err given_encode(const struct command_line *line, const char *const *also, struct buf *out)
{
	const char *path = command_line_value(line, "config");
	char folder[PATH_MAX];
	_cleanup_(mem_freep) char *file = path == NULL ? mem_strdup("") : absolute(path);
	bool is_known = getcwd(folder, sizeof folder) != NULL && folder[0] == '/';
	RETURN_IF_ERR(put_record(out, is_known ? folder : "/"));
	RETURN_IF_ERR(put_record(out, file));
	RETURN_IF_ERR(put_settings(line, out));
	for (size_t i = 0; also[i] != NULL; i++)
		RETURN_IF_ERR(put_variable(out, also[i], getenv(also[i])));
	return put_record(out, "");
}

/* --- what another process was given --- */

/* The record at *at, which moves behind it. The bytes end with NUL. */
static const char *next_record(struct span bytes, size_t *at)
{
	const char *record = (const char *)bytes.ptr + *at;
	*at += strlen(record) + 1;
	return record;
}

/* A folder, a path, then names with values, and an empty record at the end and nowhere before. */
static bool is_whole(struct span bytes)
{
	size_t at = 0;
	if (bytes.len < 3 || bytes.ptr[bytes.len - 1] != 0 || bytes.ptr[bytes.len - 2] != 0)
		return false;
	const char *folder = next_record(bytes, &at);
	if (folder[0] != '/' || at >= bytes.len)
		return false;
	(void)next_record(bytes, &at);
	while (at < bytes.len - 1) {
		const char *record = next_record(bytes, &at), *equals = strchr(record, '=');
		if (equals == NULL || equals == record)
			return false;
	}
	return at == bytes.len - 1;
}

static bool is_among(const char *const *names, const char *name)
{
	while (*names != NULL && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

static void take_variable(const struct command_line *line, const char *const *also, const char *record)
{
	const struct setting_table *table = line->program->settings;
	const char *equals = strchr(record, '=');
	_cleanup_(mem_freep) char *name = mem_printf("%.*s", (int)(equals - record), record);
	size_t len = strlen(table->prefix);
	const struct setting_def *def = strncmp(name, table->prefix, len) == 0 && name[len] == '_'
						? setting_table_find_variable(table, name + len + 1)
						: NULL;
	if (def == NULL && !is_among(also, name)) {
		log_warning(COMPONENT, "%s of the running process is not taken over: no setting has this name", name);
		return;
	}
	bool is_own = getenv(name) != NULL || (def != NULL && command_line_setting(line, def->key) != NULL);
	if (!is_own && setenv(name, equals + 1, 0) == 0)
		log_notice(COMPONENT, "%s is taken over from the running process", name);
}

static const char *own_path(struct given *given, char *path)
{
	CHECK(given->num_paths < sizeof given->paths / sizeof *given->paths);
	given->paths[given->num_paths++] = path;
	return path;
}

static bool is_path(const struct setting_table *table, const struct cli_value *value)
{
	const struct setting_def *def = value->is_key ? setting_table_find(table, value->name) : NULL;
	return def != NULL ? def->type == SETTING_TYPE_PATH : !value->is_key && strcmp(value->name, "config") == 0;
}

/* Before the process goes to another folder. */
static void keep_own_paths(struct given *given, struct command_line *line)
{
	const struct setting_table *table = line->program->settings;
	for (unsigned i = 0; i < line->num_values; i++)
		if (line->values[i].text[0] != '\0' && is_path(table, &line->values[i]))
			line->values[i].text = own_path(given, absolute(line->values[i].text));
	for (size_t i = 0; i < table->num_rows; i++) {
		char name[NAME_MAX_LEN];
		if (table->rows[i].type != SETTING_TYPE_PATH || setting_def_is_in_file_only(&table->rows[i]))
			continue;
		variable_of(table, table->rows[i].key, name);
		const char *value = getenv(name);
		_cleanup_(mem_freep) char *path = value == NULL || value[0] == '\0' ? NULL : absolute(value);
		if (path != NULL && setenv(name, path, 1) != 0)
			log_warning(COMPONENT, "%s stays relative: %m", name);
	}
}

static void take_path(struct given *given, struct command_line *line, const char *path)
{
	if (command_line_value(line, "config") != NULL || path[0] == '\0' || line->num_values == CLI_VALUES_MAX)
		return;
	const char *own = own_path(given, mem_strdup(path));
	line->values[line->num_values++] = (struct cli_value){"config", own, false};
	log_notice(COMPONENT, "--config %s is taken over from the running process", path);
}

enum err given_take(struct given *given, const char *const *also, struct command_line *line)
{
	struct span bytes = buf_span(&given->bytes);
	size_t at = 0;
	if (!is_whole(bytes))
		return ERR_MALFORMED;
	const char *folder = next_record(bytes, &at);
	keep_own_paths(given, line);
	take_path(given, line, next_record(bytes, &at));
	while (at < bytes.len - 1)
		take_variable(line, also, next_record(bytes, &at));
	if (chdir(folder) != 0)
		log_notice(COMPONENT,
			"the working folder of the running process, %s, is closed to this user (%m): harmless, but for "
			"settings that name a file without a leading /",
			folder);
	return ERR_NONE;
}

void given_done(struct given *given)
{
	buf_done(&given->bytes);
	while (given->num_paths > 0)
		mem_free(given->paths[--given->num_paths]);
}
