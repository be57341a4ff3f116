#include "base/settings/setting_table.h"

#include "base/core/check.h"
#include <string.h>

const char *setting_type_text(enum setting_type type)
{
	switch (type) {
	case SETTING_TYPE_TEXT:
		return "text";
	case SETTING_TYPE_PATH:
		return "path";
	case SETTING_TYPE_KEYWORD:
		return "keyword";
	case SETTING_TYPE_BOOL:
		return "boolean";
	case SETTING_TYPE_NUMBER:
		return "number";
	case SETTING_TYPE_DURATION:
		return "duration";
	case SETTING_TYPE_SIZE:
		return "size";
	case SETTING_TYPE_TEXTS:
		return "list of texts";
	case SETTING_TYPE_NUMBERS:
		return "list of numbers";
	case SETTING_TYPE_NETWORKS:
		return "list of networks";
	case SETTING_TYPE_SECTIONS:
		return "list of sections";
	}
	CHECK_UNREACHABLE();
}

/* "services[].name" and "services[3].name" */
static bool is_row_of(const char *row, const char *key)
{
	for (; *row != '\0' && *row == *key; row++) {
		key++;
		if (*row == '[')
			key += strspn(key, "0123456789");
	}
	return *row == '\0' && *key == '\0';
}

const struct setting_def *setting_table_find(const struct setting_table *table, const char *key)
{
	for (size_t i = 0; i < table->num_rows; i++)
		if (is_row_of(table->rows[i].key, key))
			return &table->rows[i];
	return NULL;
}

static bool is_flag_of(const char *key, struct span name)
{
	if (strlen(key) != name.len)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (key[i] != (char)name.ptr[i] && !(key[i] == '_' && name.ptr[i] == '-'))
			return false;
	return true;
}

const struct setting_def *setting_table_find_flag(const struct setting_table *table, struct span name)
{
	for (size_t i = 0; i < table->num_rows; i++)
		if (!setting_def_is_in_file_only(&table->rows[i]) && is_flag_of(table->rows[i].key, name))
			return &table->rows[i];
	return NULL;
}

const struct setting_def *setting_table_find_variable(const struct setting_table *table, const char *name)
{
	for (size_t i = 0; i < table->num_rows; i++)
		if (!setting_def_is_in_file_only(&table->rows[i]) && setting_is_variable_of(table->rows[i].key, name))
			return &table->rows[i];
	return NULL;
}

bool setting_def_is_in_file_only(const struct setting_def *def)
{
	return def->type == SETTING_TYPE_SECTIONS || strchr(def->key, '[') != NULL;
}
