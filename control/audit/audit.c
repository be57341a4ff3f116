#include "control/audit/audit.h"
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

#define TAIL_MAX (2 * AUDIT_LINE_MAX) /* holds the last whole line and one that was cut */
#define NAME     "audit.log"

const struct audit_room audit_on_disk = {64u << 20, true}, audit_in_pod = {2u << 20, false};

struct audit {
	struct audit_room room;
	char *folder, *path;
	int fd;
	struct audit_chain chain;
	uint64_t size;
	uint64_t num_lost; /* events since a write failed */
	bool is_cut;       /* the last line has no newline */
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

/* The last whole line is trusted as the end of the chain: `handfast audit verify` checks all of them. A crash may have
 * cut nothing but its newline. */
static bool find_end(int fd, uint64_t size, struct audit_chain *out, bool *out_is_cut)
{
	uint8_t bytes[TAIL_MAX];
	uint64_t from = size > TAIL_MAX ? size - TAIL_MAX : 0;
	ssize_t len = pread(fd, bytes, sizeof bytes, (off_t)from);
	size_t end = len < 0 ? 0 : (size_t)len;
	*out_is_cut = end > 0 && bytes[end - 1] != '\n';
	while (end > 0) {
		size_t has_newline = bytes[end - 1] == '\n', start = end - has_newline;
		while (start > 0 && bytes[start - 1] != '\n')
			start--;
		struct audit_chain chain = {0};
		struct span line = span_of(bytes + start, end - has_newline - start);
		if (audit_chain_check(&chain, line, true, NULL) == ERR_NONE) {
			*out = chain;
			return true;
		}
		end = start;
	}
	return false;
}

static void consider_older(struct audit *audit, const char *name)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", audit->folder, name);
	struct audit_chain chain;
	struct stat found;
	bool is_cut;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) &&
		find_end(fd, (uint64_t)found.st_size, &chain, &is_cut) && chain.number > audit->chain.number)
		audit->chain = chain;
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
	audit->is_cut = false;
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

/* False: not all of it is there. The newline alone may be missing: the next line brings it. */
static bool append(struct audit *audit, struct span line)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(AUDIT_LINE_MAX + 1);
	if (audit->is_cut && buf_append(&bytes, SPAN_LITERAL("\n")) != ERR_NONE)
		return false;
	if (buf_append(&bytes, line) != ERR_NONE)
		return false;
	struct span all = buf_span(&bytes);
	ssize_t written = write(audit->fd, all.ptr, all.len);
	if (written <= 0)
		return false;
	audit->size += (uint64_t)written;
	audit->is_cut = all.ptr[written - 1] != '\n';
	return (size_t)written + 1 >= all.len;
}

static bool add(struct audit *audit, const char *text)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(AUDIT_LINE_MAX);
	struct audit_chain chain = audit->chain;
	if (audit_chain_add(&chain, clock_system.wall_ms(&clock_system), text, &line) != ERR_NONE ||
		!append(audit, buf_span(&line))) /* the event is bounded, so its line fits */
		return false;
	audit->chain = chain;
	return true;
}

/* Events that were not written leave a line that counts them. */
static bool add_lost(struct audit *audit)
{
	char text[128];
	snprintf(text, sizeof text, "events lost: %" PRIu64 ", while this file could not be written", audit->num_lost);
	return audit->num_lost == 0 || add(audit, text);
}

static void on_event(void *arg, const char *text)
{
	struct audit *audit = arg;
	inspect_file(audit);
	if (add_lost(audit)) {
		audit->num_lost = 0;
		if (add(audit, text))
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
	mem_free(audit->folder);
	mem_free(audit->path);
	mem_free(audit);
}
DEFINE_CLEANUP(struct audit *, audit_destroy)

enum err audit_open(const char *folder, const struct audit_room *room, struct audit **out, struct why *why)
{
	_cleanup_(audit_destroyp) struct audit *audit = mem_new(struct audit);
	audit->fd = -1;
	audit->room = *room;
	audit->folder = mem_strdup(folder);
	audit->path = mem_printf("%s/" NAME, folder);
	RETURN_IF_ERR(open_file(audit, why));
	if (audit->size == 0) /* its first line continues the older file that goes furthest */
		each_older(audit, consider_older);
	else if (!find_end(audit->fd, audit->size, &audit->chain, &audit->is_cut))
		return why_set(why, ERR_STATE_DAMAGED, "an audit log that ends with a whole line",
			"move the file away; a new one is begun", "the end of %s is damaged", audit->path);
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
