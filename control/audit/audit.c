#include "control/audit/audit.h"
#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/hex.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_MAX (AUDIT_CUT_MAX + AUDIT_LINE_MAX) /* holds the last whole line and those that were cut behind it */
#define NAME     "audit.log"

const struct audit_room audit_on_disk = {64u << 20, true}, audit_in_pod = {2u << 20, false};

struct audit {
	struct audit_room room;
	char *folder, *path;
	int fd;
	struct audit_chain chain;
	uint64_t size;
	uint64_t num_lost;   /* events since a write failed */
	bool has_no_newline; /* the last line, whole or cut */
	struct buf cut;      /* behind the last whole line, as audit_cut.h has it; the next line states it */
};

static enum err cannot(struct why *why, const char *path)
{
	return why_set(why, err_from_errno(errno), "an audit log that can be written", "check its disk and permissions",
		"cannot use %s: %m", path);
}

static void log_end(const struct audit *audit, const char *what)
{
	char hash[2 * DIGEST_LEN + 1];
	hex_format(span_of(audit->chain.hash, DIGEST_LEN), hash);
	log_notice("control", "the audit log %s at %" PRIu64 ":%s", what, audit->chain.number, hash);
}

/* --- the end of a file --- */

struct end {
	uint8_t *bytes;           /* of the file's end, owned */
	struct audit_chain chain; /* number 0: no whole line is there */
	struct span behind;       /* the last whole line */
	bool is_all;              /* the bytes are the whole file */
};

static void end_done(struct end *end)
{
	mem_free(end->bytes);
}

/* The last whole line is trusted as the end of the chain: `handfast audit verify` checks all of them. A crash may have
 * cut nothing but its newline. */
static void end_find(struct end *end, struct span tail)
{
	size_t to = tail.len;
	while (to > 0) {
		size_t has_newline = tail.ptr[to - 1] == '\n', start = to - has_newline;
		while (start > 0 && tail.ptr[start - 1] != '\n')
			start--;
		if (audit_chain_check(&end->chain, span_of(tail.ptr + start, to - has_newline - start), true, NULL) ==
			ERR_NONE)
			break;
		to = start;
	}
	end->behind = span_from(tail, to);
}

static void end_read(int fd, uint64_t size, struct end *out)
{
	uint64_t from = size > TAIL_MAX ? size - TAIL_MAX : 0;
	*out = (struct end){.bytes = mem_alloc(TAIL_MAX), .is_all = from == 0};
	ssize_t len = pread(fd, out->bytes, TAIL_MAX, (off_t)from);
	end_find(out, span_of(out->bytes, len < 0 ? 0 : (size_t)len));
}

/* False: what is behind the last whole line is nothing that a crash leaves. */
static bool take_cut(struct audit *audit, struct span behind)
{
	while (behind.len > 0) {
		const uint8_t *newline = memchr(behind.ptr, '\n', behind.len);
		struct span line = span_of(behind.ptr, newline == NULL ? behind.len : (size_t)(newline - behind.ptr));
		if (!audit_cut_is(&audit->chain, line) || audit_cut_add(&audit->cut, line) != ERR_NONE)
			return false;
		behind = span_from(behind, line.len + (newline != NULL));
	}
	return true;
}

static void consider_older(struct audit *audit, const char *name)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", audit->folder, name);
	struct stat found;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) {
		_cleanup_(end_done) struct end end;
		end_read(fd, (uint64_t)found.st_size, &end);
		if (end.chain.number > audit->chain.number) {
			audit->chain = end.chain;
			buf_clear(&audit->cut);
			if (!take_cut(audit, end.behind)) /* verifying that file finds it */
				buf_clear(&audit->cut);
		}
	}
	fd_close(fd);
}

static void each_older(struct audit *audit, void (*take)(struct audit *audit, const char *name))
{
	DIR *folder = opendir(audit->folder);
	if (folder == NULL)
		return;
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
		if (strncmp(entry->d_name, NAME ".", sizeof NAME) == 0)
			take(audit, entry->d_name);
	closedir(folder);
}

/* --- the file --- */

/* A lock of the process, not of the descriptor: no child keeps it. */
static enum err lock(const struct audit *audit, struct why *why)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(audit->fd, F_SETLK, &whole) == 0)
		return ERR_NONE;
	if (errno != EACCES && errno != EAGAIN)
		return cannot(why, audit->path);
	return why_set(why, ERR_CONFLICT, "one control plane per state folder", "stop the other one",
		"another process writes to %s", audit->path);
}

static enum err open_file(struct audit *audit, struct why *why)
{
	struct stat found;
	audit->fd = open(audit->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (audit->fd < 0 || fstat(audit->fd, &found) != 0)
		return cannot(why, audit->path);
	audit->size = (uint64_t)found.st_size;
	return lock(audit, why);
}

static void begin_file(struct audit *audit)
{
	struct why why = {0};
	int before = audit->fd;
	uint64_t size = audit->size;
	if (open_file(audit, &why) != ERR_NONE) {
		fd_close(audit->fd);
		audit->fd = before;
		audit->size = size;
		log_why(LOG_LEVEL_ERROR, "control", "the next file of the audit log cannot be made", &why);
		return;
	}
	fd_close(before);
	audit->has_no_newline = false;
	log_end(audit, "begins a file");
}

static void remove_older(struct audit *audit, const char *name)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", audit->folder, name);
	unlink(path);
}

/* The older file is named by the number of its last line. */
static void begin_next_file(struct audit *audit)
{
	if (!audit->room.keeps_all)
		each_older(audit, remove_older);
	_cleanup_(mem_freep) char *old = mem_printf("%s.%" PRIu64, audit->path, audit->chain.number);
	if (rename(audit->path, old) == 0) /* else the present one grows on */
		begin_file(audit);
}

/* Others have no business there: what they do is logged, and verifying finds it. */
static void inspect_file(struct audit *audit)
{
	struct stat own, there;
	if (fstat(audit->fd, &own) != 0)
		return;
	if (stat(audit->path, &there) != 0 || there.st_ino != own.st_ino || there.st_dev != own.st_dev) {
		log_warning("control", "the audit log %s was moved or removed by another process; it is begun again",
			audit->path);
		begin_file(audit);
	} else if ((uint64_t)own.st_size != audit->size) {
		log_error("control",
			"the audit log %s was changed by another process: it had %" PRIu64 " bytes and has %lld; "
			"expected: one process that writes; fix: compare it with the collected log",
			audit->path, audit->size, (long long)own.st_size);
		audit->size = (uint64_t)own.st_size;
	} else if (audit->size >= audit->room.file_bytes)
		begin_next_file(audit);
}

/* --- lines --- */

/* What was written of a line. Of more than one line can state, as a disk leaves that is full again and again, the last
 * part is taken back. */
static void note_cut(struct audit *audit, struct span part)
{
	if (audit_cut_add(&audit->cut, part) == ERR_NONE)
		return;
	if (ftruncate(audit->fd, (off_t)(audit->size - part.len)) != 0) {
		log_error("control", "cannot take back a line that the full disk has cut, in %s: %m", audit->path);
		return;
	}
	audit->size -= part.len;
	audit->has_no_newline = false;
}

/* False: not all of it is there. The newline alone may be missing: the next line brings it. */
static bool append(struct audit *audit, struct span line)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(AUDIT_LINE_MAX + 1);
	size_t begin = audit->has_no_newline;
	if (begin > 0 && buf_append(&bytes, SPAN_LITERAL("\n")) != ERR_NONE)
		return false;
	if (buf_append(&bytes, line) != ERR_NONE)
		return false;
	struct span all = buf_span(&bytes);
	ssize_t written = write(audit->fd, all.ptr, all.len);
	if (written <= 0)
		return false;
	audit->size += (uint64_t)written;
	audit->has_no_newline = all.ptr[written - 1] != '\n';
	if ((size_t)written + 1 >= all.len)
		return true;
	if ((size_t)written > begin)
		note_cut(audit, span_of(all.ptr + begin, (size_t)written - begin));
	return false;
}

/* The line that `put` makes of its argument. */
typedef enum err put_fn(struct audit_chain *chain, int64_t wall_ms, const void *arg, struct buf *out);

static bool add(struct audit *audit, put_fn *put, const void *arg)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(AUDIT_LINE_MAX);
	struct audit_chain chain = audit->chain;
	if (put(&chain, clock_system.wall_ms(&clock_system), arg, &line) != ERR_NONE ||
		!append(audit, buf_span(&line))) /* the event is bounded, so its line fits */
		return false;
	audit->chain = chain;
	return true;
}

static enum err put_event(struct audit_chain *chain, int64_t wall_ms, const void *arg, struct buf *out)
{
	return audit_chain_add(chain, wall_ms, arg, out);
}

static enum err put_statement(struct audit_chain *chain, int64_t wall_ms, const void *arg, struct buf *out)
{
	return audit_cut_state(chain, wall_ms, buf_span(arg), out);
}

/* Before any other line: what is cut is stated by the next one. */
static bool add_statement(struct audit *audit)
{
	if (buf_len(&audit->cut) == 0)
		return true;
	if (!add(audit, put_statement, &audit->cut))
		return false;
	buf_clear(&audit->cut);
	return true;
}

/* Events that were not written leave a line that counts them. */
static bool add_lost(struct audit *audit)
{
	char text[128];
	snprintf(text, sizeof text, "events lost: %" PRIu64 ", while this file could not be written", audit->num_lost);
	return audit->num_lost == 0 || add(audit, put_event, text);
}

static void on_event(void *arg, const char *text)
{
	struct audit *audit = arg;
	inspect_file(audit);
	if (add_statement(audit) && add_lost(audit)) {
		audit->num_lost = 0;
		if (add(audit, put_event, text))
			return;
	}
	if (audit->num_lost++ == 0)
		log_error("control",
			"the audit log %s cannot be written; expected: space on its disk; fix: free some, or enlarge "
			"it",
			audit->path);
}

/* --- life --- */

static void audit_destroy(struct audit *audit)
{
	fd_close(audit->fd);
	buf_done(&audit->cut);
	mem_free(audit->folder);
	mem_free(audit->path);
	mem_free(audit);
}
DEFINE_CLEANUP(struct audit *, audit_destroy)

/* Where the chain goes on: after the file's last whole line, or, if it has none, that of an older file. */
static bool find_end(struct audit *audit)
{
	_cleanup_(end_done) struct end end;
	uint8_t last = '\n';
	end_read(audit->fd, audit->size, &end);
	if (end.chain.number > 0)
		audit->chain = end.chain;
	else if (end.is_all)
		each_older(audit, consider_older);
	else
		return false;
	audit->has_no_newline =
		audit->size > 0 && pread(audit->fd, &last, 1, (off_t)audit->size - 1) == 1 && last != '\n';
	return take_cut(audit, end.behind);
}

enum err audit_open(const char *folder, const struct audit_room *room, struct audit **out, struct why *why)
{
	_cleanup_(audit_destroyp) struct audit *audit = mem_new(struct audit);
	audit->fd = -1;
	audit->room = *room;
	audit->cut = BUF_INIT(AUDIT_CUT_MAX);
	audit->folder = mem_strdup(folder);
	audit->path = mem_printf("%s/" NAME, folder);
	RETURN_IF_ERR(open_file(audit, why));
	if (!find_end(audit))
		return why_set(why, ERR_STATE_DAMAGED,
			"an audit log that ends with a whole line, or with what a crash leaves of one",
			"compare it with the collected log, and move it to a name such as " NAME
			".damaged: another file goes on after its last whole line",
			"the end of %s is damaged, or was changed", audit->path);
	(void)!add_statement(audit); /* else before the next event */
	log_end(audit, "goes on");
	log_set_tap("audit", on_event, audit);
	*out = TAKE_PTR(audit);
	return ERR_NONE;
}

void audit_close(struct audit *audit)
{
	log_set_tap(NULL, NULL, NULL);
	log_end(audit, "ends");
	audit_destroy(audit);
}
