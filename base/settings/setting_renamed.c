#include "base/settings/setting_renamed.h"

#include <stdbool.h>
#include <stddef.h>

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
