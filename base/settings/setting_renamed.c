#include "base/settings/setting_renamed.h"

#include <ctype.h>
#include <string.h>

static bool is_named(const char *name, const char *given, size_t len)
{
	size_t i = 0;
	for (; i < len && name[i] != '\0'; i++)
		if (name[i] != given[i] && !(name[i] == '_' && given[i] == '-'))
			return false;
	return i == len && name[i] == '\0';
}

const struct setting_renamed *setting_renamed_find(
	const struct setting_renamed *renamed, const char *old_key, size_t len)
{
	for (; renamed != NULL && renamed->old_key != NULL; renamed++)
		if (is_named(renamed->old_key, old_key, len))
			return renamed;
	return NULL;
}

bool setting_is_variable_of(const char *key, const char *name)
{
	size_t len = strlen(key);
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] != (key[i] == '.' ? '_' : toupper((unsigned char)key[i])))
			return false;
	return true;
}

const struct setting_renamed *setting_renamed_find_variable(const struct setting_renamed *renamed, const char *name)
{
	for (; renamed != NULL && renamed->old_key != NULL; renamed++)
		if (setting_is_variable_of(renamed->old_key, name))
			return renamed;
	return NULL;
}
