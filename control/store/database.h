/* The only file that uses SQLite: one table of keys, values, versions and checksums in a database of its own.
 * Everything here blocks; after database_open() only the store's thread calls it. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

struct database;

struct database_change { /* one compare-and-swap; borrowed memory */
	const char *key;
	uint64_t expected; /* version; 0: must not exist */
	struct span value; /* ptr NULL: remove */
	enum err err;      /* out: ERR_NONE, ERR_CONFLICT, ERR_IO */
	uint64_t version;  /* out, with ERR_NONE */
};

/* See store_open() for the errors. */
enum err database_open(const char *path, struct database **out, struct why *why) _must_use_;
void database_close(struct database *database);
DEFINE_CLEANUP(struct database *, database_close)
uint64_t database_incarnation(const struct database *database);
uint64_t database_revision(const struct database *database);                                /* the newest version */
enum err database_begin_incarnation(struct database *database, struct why *why) _must_use_; /* a new one, durable */

typedef void database_row_fn(void *arg, const char *key, struct span value, uint64_t version);
/* ERR_STATE_DAMAGED when a row's checksum does not match. */
enum err database_read_all(struct database *database, database_row_fn *on_row, void *arg, struct why *why) _must_use_;

/* All of them in one durable transaction; a conflict fails only its own change. On an I/O error no change happens, each
 * one gets ERR_IO, and *why names the file and the reason. Returns that error. */
enum err database_commit(
	struct database *database, struct database_change **changes, size_t num, struct why *why) _must_use_;
const char *database_library_version(void);
