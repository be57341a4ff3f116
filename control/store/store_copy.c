/* A control plane has its database open with SQLite's exclusive lock, so no second process can ask SQLite for it. But
 * the files may be read: in WAL mode a commit only appends to the journal, and what a checkpoint moves into the
 * database stays in the journal until that begins anew, with another salt in its header (SQLite file format, 4). So the
 * database, read first, and the journal, read after it, are the state of one moment if the journal's header is the same
 * before and after both: it may also begin anew while it is read, so its header is read again when all of it was. Pages
 * that a checkpoint was writing meanwhile are in the journal, too. Opening the copy checks all of it. */
#include "control/store/store_copy.h"
#include "base/core/buf.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/store/database.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 50, JOURNAL_HEAD = 32 };

struct moment {
	bool has_head; /* the journal has begun */
	uint8_t head[JOURNAL_HEAD];
	struct timespec changed; /* the database; without a journal this is what counts */
	off_t size;
};

struct copy {
	struct buf database, journal;
};

static enum err look(const char *path, const char *journal, struct moment *out, struct why *why)
{
	_cleanup_(buf_done) struct buf head = BUF_INIT(JOURNAL_HEAD);
	struct stat found = {0};
	enum err err = fd_read_head(journal, JOURNAL_HEAD, &head, why);
	if (err != ERR_NONE && err != ERR_NOT_FOUND)
		return err;
	*out = (struct moment){.has_head = buf_len(&head) == JOURNAL_HEAD};
	if (out->has_head)
		memcpy(out->head, buf_span(&head).ptr, JOURNAL_HEAD);
	if (stat(path, &found) == 0) {
		out->changed = found.st_mtim;
		out->size = found.st_size;
	}
	return ERR_NONE;
}

static bool is_same(const struct moment *a, const struct moment *b)
{
	if (a->has_head != b->has_head)
		return false;
	if (a->has_head)
		return memcmp(a->head, b->head, JOURNAL_HEAD) == 0;
	return a->size == b->size && a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* No journal is an empty one: a control plane that has stopped leaves none. */
static enum err read_journal(const char *path, struct copy *copy, struct why *why)
{
	buf_clear(&copy->journal);
	enum err err = fd_read_file(path, STORE_COPY_MAX, &copy->journal, why);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err try_to_read(
	const char *path, const char *journal, struct copy *copy, bool *out_is_good, struct why *why)
{
	struct moment before, after;
	RETURN_IF_ERR(look(path, journal, &before, why));
	buf_clear(&copy->database);
	RETURN_IF_ERR(fd_read_file(path, STORE_COPY_MAX, &copy->database, why));
	RETURN_IF_ERR(read_journal(journal, copy, why));
	RETURN_IF_ERR(look(path, journal, &after, why));
	*out_is_good = is_same(&before, &after);
	return ERR_NONE;
}

static enum err read_both(const char *path, struct copy *copy, struct why *why)
{
	_cleanup_(mem_freep) char *journal = mem_printf("%s-wal", path);
	bool is_good = false;
	for (unsigned i = 0; i < TRIES && !is_good; i++)
		RETURN_IF_ERR(try_to_read(path, journal, copy, &is_good, why));
	if (is_good)
		return ERR_NONE;
	return why_set(why, ERR_UNAVAILABLE, "a store that does not change faster than it can be read",
		"try again, or stop the control plane for the backup", "%s has changed during each of %d tries", path,
		TRIES);
}

static void ignore_row(
	_unused_ void *arg, _unused_ const char *key, _unused_ struct span value, _unused_ uint64_t version)
{
}

/* Closing it moves the journal into the database. */
static enum err check(const char *to, struct why *why)
{
	_cleanup_(database_closep) struct database *database = NULL;
	RETURN_IF_ERR(database_open(to, &database, why));
	return database_read_all(database, ignore_row, NULL, why);
}

static enum err write_both(const struct copy *copy, const char *to, const char *journal, struct why *why)
{
	/* The journal first: without it the database would be opened as it is. */
	RETURN_IF_ERR(fd_write_file(journal, buf_span(&copy->journal), 0600, why));
	RETURN_IF_ERR(fd_write_file(to, buf_span(&copy->database), 0600, why));
	return check(to, why);
}

enum err store_copy(const char *path, const char *to, struct why *why)
{
	_cleanup_(mem_freep) char *journal = mem_printf("%s-wal", to), *lock = mem_printf("%s.lock", to);
	struct copy copy = {BUF_INIT(STORE_COPY_MAX + 1), BUF_INIT(STORE_COPY_MAX + 1)};
	enum err err = read_both(path, &copy, why);
	if (err == ERR_NONE && buf_len(&copy.database) == 0)
		err = why_set(why, ERR_STATE_DAMAGED, "a store", "check state_dir", "%s is empty", path);
	if (err == ERR_NONE)
		err = write_both(&copy, to, journal, why);
	unlink(lock);
	if (err != ERR_NONE) {
		unlink(journal);
		unlink(to);
	}
	buf_done(&copy.database);
	buf_done(&copy.journal);
	return err;
}
