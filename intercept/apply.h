/* The only door to libnftables: rules go into the kernel, and out of it, as text in one transaction. */
#pragma once

#include "base/core/buf.h"

/* All of the commands take effect, or none. */
enum err apply_commands(const char *commands, struct why *why) _must_use_;

/* Whether the kernel would take them; nothing changes. */
enum err apply_try(const char *commands, struct why *why) _must_use_;

/* The named inet table as nft lists it, without what its counters have counted; ERR_NOT_FOUND if there is none. */
enum err apply_list_table(const char *table, struct buf *out, struct why *why) _must_use_;

/* The same with the counts. */
enum err apply_list_table_counted(const char *table, struct buf *out, struct why *why) _must_use_;
