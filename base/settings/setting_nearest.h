/* The name that was probably meant by one that is misspelled, or that lacks its section. Pure. */
#pragma once

#include "base/settings/setting_table.h"

#define SETTING_NEAREST_MAX 96

/* The key of the table, or with may_be_section its section, that is written most like `name`, into `out`; NULL: none is
 * like it. Capital letters count as small ones, and '.', '_' and '-' as one, so that flags and variables are found,
 * too. Returns out. */
const char *setting_nearest(
	const struct setting_table *table, struct span name, bool may_be_section, char out[SETTING_NEAREST_MAX]);
