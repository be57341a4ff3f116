/* The control plane's settings in force as an operator's answer. */
#pragma once

#include "base/core/buf.h"
#include "base/settings/settings_record.h"

/* ERR_LIMIT: more than `out` may hold. */
enum err operator_settings_encode(const struct settings_record *record, struct buf *out) _must_use_;
