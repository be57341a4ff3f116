/* The plugin's entry in a network configuration list (CNI specification 1.1.0, section 1): added at the end of its
 * plugins, or removed. The rest of the list is kept. Pure. */
#pragma once

#include "base/core/buf.h"

#define CONFLIST_MAX  (256 * 1024) /* bytes of a file */
#define CONFLIST_TYPE "handfast-cni"

struct conflist_entry {
	const char *socket; /* the agent's, as the node sees it */
	const char *const *exclude_namespaces;
	size_t num_exclude_namespaces;
};

/* Whether a runtime reads a file of that name. It takes the first one, in the order of the names. */
bool conflist_is_read(const char *name);

/* `entry` NULL: removes. *out is what the file shall have; empty: it has that already. ERR_UNSUPPORTED: the file is no
 * list but one plugin's configuration, to which nothing can be chained, or of a version that the plugin does not speak.
 */
enum err conflist_edit(
	struct span text, const struct conflist_entry *entry, struct buf *out, struct why *why) _must_use_;
