#include "control/store/database.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID 0x68666374 /* "hfct" */
#define FORMAT_VERSION 1

struct database {
	sqlite3 *sqlite;
	char *path;
	int lock_fd; /* held before SQLite opens the file: two processes that start together would otherwise block each
			other */
	sqlite3_stmt *insert, *update, *erase, *count;
	uint64_t incarnation;
	uint64_t revision; /* the newest version: one counter for all keys, so that a key made again is not mistaken for
			      the previous one */
};

const char *database_library_version(void)
{
	return sqlite3_libversion();
}

/* FNV-1a over all columns of a row. SQLite detects a broken page structure, not a flipped bit in a value. */
static uint64_t fold(uint64_t sum, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ at[i]) * 0x100000001b3u;
	return sum;
}

static int64_t row_checksum(const char *key, struct span value, uint64_t version)
{
	uint64_t sum = fold(0xcbf29ce484222325u, key, strlen(key) + 1);
	sum = fold(sum, value.ptr, value.len);
	return (int64_t)fold(sum, &version, sizeof version);
}

static enum err damaged(struct why *why, const char *path, const char *what)
{
	return why_set(why, ERR_STATE_DAMAGED, "the control plane's store, undamaged",
		"restore a backup of the state folder; nothing was overwritten", "%s is damaged: %s", path, what);
}

static enum err exec(struct database *database, const char *sql)
{
	return sqlite3_exec(database->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_NONE : ERR_IO;
}

static void read_number(sqlite3 *sqlite, const char *sql, int64_t *out)
{
	sqlite3_stmt *statement = NULL;
	*out = -1;
	if (sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		*out = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
}

/* The file is created 0600 here: SQLite would apply the umask. */
static enum err make_or_check_file(const char *path, struct why *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_set(why, err_from_errno(errno), "a store that can be opened or made",
			"check the folder's owner and mode", "cannot open %s: %m", path);
	struct stat file;
	int result = fstat(fd, &file);
	close(fd);
	if (result != 0 || !S_ISREG(file.st_mode))
		return why_set(why, ERR_CONFIG, "a regular file", "name another state folder",
			"%s is not a regular file", path);
	if ((file.st_mode & 077) != 0 || file.st_uid != geteuid())
		return why_set(why, ERR_CONFIG, "a store that only its owner can read", "chown it and chmod 0600",
			"%s has mode %04o and uid %u", path, file.st_mode & 07777u, file.st_uid);
	return ERR_NONE;
}

/* SQLite's error text, and the system's if there is one. */
static enum err disk_refused(const struct database *database, struct why *why)
{
	int errnum = sqlite3_system_errno(database->sqlite);
	return why_set(why, ERR_IO, "a file system that stores changes",
		"free space on that file system, or check the disk", "cannot write %s: %s%s%s", database->path,
		sqlite3_errmsg(database->sqlite), errnum == 0 ? "" : ": ", errnum == 0 ? "" : strerrordesc_np(errnum));
}

static enum err in_use(const struct database *database, struct why *why)
{
	return why_set(why, ERR_EXISTS, "a store that no other process has open",
		"stop the other control plane or name another state folder", "%s is in use by another process",
		database->path);
}

/* A file of its own: SQLite's locks on the database would go with any descriptor of it that is closed. */
static enum err take_lock(struct database *database, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s.lock", database->path);
	database->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (database->lock_fd < 0)
		return why_set(why, err_from_errno(errno), "a lock file that can be opened or made",
			"check the folder's owner and mode, and the disk", "cannot open %s: %m", path);
	return flock(database->lock_fd, LOCK_EX | LOCK_NB) == 0 ? ERR_NONE : in_use(database, why);
}

static enum err cannot_take(const struct database *database, int code, struct why *why)
{
	if (code == SQLITE_BUSY || code == SQLITE_LOCKED) /* by a release that has no lock file */
		return in_use(database, why);
	if (code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_CANTOPEN)
		return disk_refused(database, why);
	return damaged(why, database->path, sqlite3_errmsg(database->sqlite));
}

/* The database of another program is not changed in any byte. */
static enum err check_is_ours(const struct database *database, struct why *why)
{
	int64_t num_tables, application;
	int code = sqlite3_exec(database->sqlite, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	if (code != SQLITE_OK)
		return cannot_take(database, code, why);
	read_number(database->sqlite, "SELECT count(*) FROM sqlite_schema", &num_tables);
	read_number(database->sqlite, "PRAGMA application_id", &application);
	if (num_tables > 0 && application != APPLICATION_ID)
		return damaged(why, database->path, "it is not a store of handfast-control");
	return ERR_NONE;
}

/* Exclusive locking keeps a second control plane out and needs no shared-memory file; the lock is taken by the first
 * read, which a WAL left behind by kill -9 makes a recovery. */
static enum err take_file(struct database *database, struct why *why)
{
	int code =
		sqlite3_open_v2(database->path, &database->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return damaged(why, database->path, sqlite3_errstr(code));
	sqlite3_exec(database->sqlite, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY;", NULL, NULL, NULL);
	RETURN_IF_ERR(check_is_ours(database, why));
	code = sqlite3_exec(database->sqlite,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; BEGIN IMMEDIATE; COMMIT;", NULL, NULL, NULL);
	if (code != SQLITE_OK)
		return cannot_take(database, code, why);
	/* What a kill -9 has left in the journal goes to its place, so that the next change is written over it: a start
	 * on a full disk, after one that was as full, needs no room. On an error the journal stays as it is. */
	sqlite3_exec(database->sqlite, "PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL);
	return ERR_NONE;
}

static enum err make_tables(struct database *database, const char *path, struct why *why)
{
	uint64_t incarnation = random_u64() | 1;
	_cleanup_(mem_freep) char *sql =
		mem_printf("BEGIN IMMEDIATE; PRAGMA application_id=%d; PRAGMA user_version=%d;"
			   "CREATE TABLE entry(key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL,"
			   " checksum INTEGER NOT NULL) WITHOUT ROWID;"
			   "CREATE TABLE store(incarnation INTEGER NOT NULL, revision INTEGER NOT NULL);"
			   "INSERT INTO store VALUES(%lld, 0); COMMIT;",
			APPLICATION_ID, FORMAT_VERSION, (long long)(int64_t)incarnation);
	if (exec(database, sql) != ERR_NONE)
		return why_set(why, ERR_IO, "room to make the store", "check the disk", "cannot make %s: %s", path,
			sqlite3_errmsg(database->sqlite));
	return ERR_NONE;
}

static bool passes_quick_check(sqlite3 *sqlite)
{
	sqlite3_stmt *statement = NULL;
	bool good = sqlite3_prepare_v2(sqlite, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
		    sqlite3_step(statement) == SQLITE_ROW &&
		    strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
	sqlite3_finalize(statement);
	return good;
}

static enum err check_content(struct database *database, const char *path, struct why *why)
{
	int64_t application, version, incarnation, revision;
	read_number(database->sqlite, "PRAGMA application_id", &application);
	read_number(database->sqlite, "PRAGMA user_version", &version);
	if (application != APPLICATION_ID)
		return damaged(why, path, "it is not a store of handfast-control");
	if (version != FORMAT_VERSION)
		return why_set(why, ERR_UNSUPPORTED, "a store of format 1", "run the release that made it",
			"%s has format %lld", path, (long long)version);
	if (!passes_quick_check(database->sqlite))
		return damaged(why, path, "the file's structure is broken");
	read_number(database->sqlite, "SELECT incarnation FROM store", &incarnation);
	read_number(database->sqlite, "SELECT revision FROM store", &revision);
	if (incarnation == -1 || incarnation == 0 || revision < 0)
		return damaged(why, path, "it has no incarnation");
	database->incarnation = (uint64_t)incarnation;
	database->revision = (uint64_t)revision;
	return ERR_NONE;
}

static enum err prepare(struct database *database, const char *path, struct why *why)
{
	const struct {
		sqlite3_stmt **statement;
		const char *sql;
	} all[] = {
		{&database->insert, "INSERT OR IGNORE INTO entry VALUES(?1, ?2, ?3, ?4)"},
		{&database->update, "UPDATE entry SET version=?2, value=?3, checksum=?4 WHERE key=?1 AND version=?5"},
		{&database->erase, "DELETE FROM entry WHERE key=?1 AND version=?5"},
		{&database->count, "UPDATE store SET revision=?1"},
	};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (sqlite3_prepare_v2(database->sqlite, all[i].sql, -1, all[i].statement, NULL) != SQLITE_OK)
			return damaged(why, path, sqlite3_errmsg(database->sqlite));
	return ERR_NONE;
}

static enum err set_up(struct database *database, const char *path, struct why *why)
{
	int64_t num_tables;
	RETURN_IF_ERR(take_lock(database, why));
	RETURN_IF_ERR(make_or_check_file(path, why));
	RETURN_IF_ERR(take_file(database, why));
	read_number(database->sqlite, "SELECT count(*) FROM sqlite_schema", &num_tables);
	if (num_tables == 0) /* also after a crash right after the file was created */
		RETURN_IF_ERR(make_tables(database, path, why));
	RETURN_IF_ERR(check_content(database, path, why));
	return prepare(database, path, why);
}

enum err database_open(const char *path, struct database **out, struct why *why)
{
	_cleanup_(database_closep) struct database *database = mem_new(struct database);
	database->path = mem_strdup(path);
	database->lock_fd = -1;
	RETURN_IF_ERR(set_up(database, path, why));
	*out = TAKE_PTR(database);
	return ERR_NONE;
}

void database_close(struct database *database)
{
	sqlite3_finalize(database->insert);
	sqlite3_finalize(database->update);
	sqlite3_finalize(database->erase);
	sqlite3_finalize(database->count);
	sqlite3_close(database->sqlite);
	if (database->lock_fd >= 0)
		close(database->lock_fd);
	mem_free(database->path);
	mem_free(database);
}

uint64_t database_incarnation(const struct database *database)
{
	return database->incarnation;
}

uint64_t database_revision(const struct database *database)
{
	return database->revision;
}

enum err database_begin_incarnation(struct database *database, struct why *why)
{
	uint64_t incarnation = random_u64() | 1;
	_cleanup_(mem_freep) char *sql =
		mem_printf("UPDATE store SET incarnation=%lld", (long long)(int64_t)incarnation);
	if (exec(database, sql) != ERR_NONE)
		return why_set(why, ERR_IO, "a store that can be written", "check the disk",
			"cannot write the store: %s", sqlite3_errmsg(database->sqlite));
	database->incarnation = incarnation;
	return ERR_NONE;
}

static enum err read_row(sqlite3_stmt *statement, database_row_fn *on_row, void *arg, struct why *why)
{
	const char *key = (const char *)sqlite3_column_text(statement, 0);
	uint64_t version = (uint64_t)sqlite3_column_int64(statement, 1);
	struct span value = span_of(sqlite3_column_blob(statement, 2), (size_t)sqlite3_column_bytes(statement, 2));
	if (key == NULL || sqlite3_column_int64(statement, 3) != row_checksum(key, value, version))
		return damaged(why, key == NULL ? "a row" : key, "its checksum does not match");
	on_row(arg, key, value, version);
	return ERR_NONE;
}

enum err database_read_all(struct database *database, database_row_fn *on_row, void *arg, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	enum err err = ERR_NONE;
	int code = sqlite3_prepare_v2(
		database->sqlite, "SELECT key, version, value, checksum FROM entry ORDER BY key", -1, &statement, NULL);
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(statement);
		if (code == SQLITE_ROW && (err = read_row(statement, on_row, arg, why)) != ERR_NONE)
			break;
	}
	if (err == ERR_NONE && code != SQLITE_DONE)
		err = damaged(why, "a row", sqlite3_errmsg(database->sqlite));
	sqlite3_finalize(statement);
	return err;
}

static sqlite3_stmt *statement_of(const struct database *database, const struct database_change *change)
{
	if (change->value.ptr == NULL)
		return database->erase;
	return change->expected == 0 ? database->insert : database->update;
}

static int run(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

static enum err apply(struct database *database, struct database_change *change, uint64_t *revision)
{
	sqlite3_stmt *statement = statement_of(database, change);
	uint64_t version = *revision + 1;
	CHECK(change->expected != 0 || change->value.ptr != NULL);
	sqlite3_bind_text(statement, 1, change->key, -1, SQLITE_STATIC);
	if (change->value.ptr != NULL) {
		sqlite3_bind_int64(statement, 2, (int64_t)version);
		sqlite3_bind_blob64(statement, 3, change->value.ptr, change->value.len, SQLITE_STATIC);
		sqlite3_bind_int64(statement, 4, row_checksum(change->key, change->value, version));
	}
	if (change->expected != 0)
		sqlite3_bind_int64(statement, 5, (int64_t)change->expected);
	if (run(statement) != SQLITE_DONE)
		return ERR_IO;
	change->err = sqlite3_changes(database->sqlite) == 1 ? ERR_NONE : ERR_CONFLICT;
	if (change->err == ERR_NONE)
		change->version = *revision = version;
	return ERR_NONE;
}

static enum err keep_revision(struct database *database, uint64_t revision)
{
	sqlite3_bind_int64(database->count, 1, (int64_t)revision);
	return run(database->count) == SQLITE_DONE ? ERR_NONE : ERR_IO;
}

enum err database_commit(struct database *database, struct database_change **changes, size_t num, struct why *why)
{
	uint64_t revision = database->revision;
	enum err err = exec(database, "BEGIN IMMEDIATE");
	for (size_t i = 0; i < num && err == ERR_NONE; i++)
		err = apply(database, changes[i], &revision);
	if (err == ERR_NONE && revision != database->revision)
		err = keep_revision(database, revision);
	if (err == ERR_NONE)
		err = exec(database, "COMMIT");
	if (err == ERR_NONE) {
		database->revision = revision;
		return ERR_NONE;
	}
	(void)disk_refused(database, why); /* before the next statement replaces the error text */
	sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL, NULL);
	for (size_t i = 0; i < num; i++)
		changes[i]->err = ERR_IO;
	return ERR_IO;
}
