/* The only file that calls libnftables: writes and reads the kernel's rules as text, one transaction per write. */
#pragma once

#include "base/core/buf.h"

/* Applies all commands, or none. */
enum err apply_commands(const char *commands, struct why *why) _must_use_;

/* Whether the kernel would accept the commands; changes nothing. */
enum err apply_try(const char *commands, struct why *why) _must_use_;

/* The named inet table as nft lists it, without counter values. ERR_NOT_FOUND: there is none. */
enum err apply_list_table(const char *table, struct buf *out, struct why *why) _must_use_;

/* The same with counter values. */
enum err apply_list_table_counted(const char *table, struct buf *out, struct why *why) _must_use_;
