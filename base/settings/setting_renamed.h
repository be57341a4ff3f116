/* Settings that have another name by now: the old name is refused with a sentence that names the new one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct setting_renamed {
	const char *old_key, *new_key;
};

/* The row of `old_key`, or NULL; '-' counts as '_', as in flags. `renamed`: ends with a row without keys; NULL: none.
 */
const struct setting_renamed *setting_renamed_find(
	const struct setting_renamed *renamed, const char *old_key, size_t len);
/* The same for a variable's name behind the prefix: "MESH_LEAF_TTL". */
const struct setting_renamed *setting_renamed_find_variable(const struct setting_renamed *renamed, const char *name);
/* "mesh.leaf_ttl" is MESH_LEAF_TTL in the environment. */
bool setting_is_variable_of(const char *key, const char *name);
