/* The control plane's settings in force as an operator's answer. */
#pragma once

#include "base/core/buf.h"
#include "base/settings/settings_record.h"

/* max_connections: the limit in force, where the settings leave it to the program. ERR_LIMIT: more than `out` may hold.
 */
enum err operator_settings_encode(
	const struct settings_record *record, uint32_t max_connections, struct buf *out) _must_use_;
