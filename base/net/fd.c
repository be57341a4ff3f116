#include "base/net/fd.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int fd)
{
	if (fd < 0)
		return;
	/* Linux closes it even on EINTR: do not retry. EBADF would be a double close. */
	int saved = errno;
	CHECK(close(fd) == 0 || errno != EBADF);
	errno = saved;
}

void fd_closep(int *fd)
{
	fd_close(*fd);
}

unsigned long fd_limit_raise(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return limit.rlim_cur;
}

int fd_spare(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

enum err fd_socket(int family, int type, int *out_fd)
{
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_from_errno(errno);
	*out_fd = fd;
	return ERR_NONE;
}

/* accept(2) also returns errors of the connection itself: it is lost, the next one may be good. */
static bool is_of_lost_connection(int errnum)
{
	switch (errnum) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENOPROTOOPT:
	case ENONET:
	case EOPNOTSUPP:
	case EPERM: /* denied by a packet filter */
		return true;
	default:
		return false;
	}
}

enum err fd_accept(int listening_fd, struct addr *out_peer, int *out_fd)
{
	CHECK(listening_fd >= 0);
	struct sockaddr_storage from;
	socklen_t len;
	int fd;
	do {
		len = sizeof from;
		fd = accept4(listening_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && is_of_lost_connection(errno));
	if (fd < 0)
		return errno == ENOBUFS || errno == ENOMEM ? ERR_FD_EXHAUSTED : err_from_errno(errno);
	struct addr peer;
	if (addr_from_sockaddr((struct sockaddr *)&from, len, &peer) != ERR_NONE)
		peer = (struct addr){.port = 0}; /* a Unix socket's peer has no address */
	*out_peer = peer;
	*out_fd = fd;
	return ERR_NONE;
}

static enum err why_errno(struct why *why, const char *expected, const char *fix, const char *action, const char *path)
{
	return why_set(why, err_from_errno(errno), expected, fix, "cannot %s %s: %m", action, path);
}

/* Reads to the end, or `most` bytes. */
static enum err read_up_to(int fd, const char *path, size_t most, struct buf *content, struct why *why)
{
	while (buf_len(content) < most) {
		uint8_t *room;
		size_t left = most - buf_len(content), len = left < 65536 ? left : 65536;
		CHECK(buf_reserve(content, len, &room) == ERR_NONE);
		ssize_t got = read(fd, room, len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_errno(why, "a readable file", "check the disk", "read", path);
		if (got == 0)
			return ERR_NONE;
		buf_commit(content, (size_t)got);
	}
	return ERR_NONE;
}

/* access() judges by the modes alone, open() by the list of files that the program made at its start, too. */
static const char *fix_of_open(int errnum, const char *path)
{
	if (errnum != EACCES || access(path, R_OK) != 0)
		return "check the path and its permissions";
	return "restart the program: the file's modes allow it, and the sandbox (Landlock) allows only files that were "
	       "there when it started";
}

/* O_NONBLOCK: opening a pipe must not block. */
static enum err open_to_read(const char *path, int *out_fd, struct why *why)
{
	*out_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*out_fd < 0)
		return why_errno(why, "a readable file", fix_of_open(errno, path), "open", path);
	return ERR_NONE;
}

static enum err expect_regular(int fd, const char *path, struct why *why)
{
	struct stat stat;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		return ERR_NONE;
	return why_set(why, ERR_UNSUPPORTED, "a regular file", "check the path", "%s is %s", path,
		S_ISDIR(stat.st_mode) ? "a folder" : "a pipe, socket or device");
}

static enum err append(struct buf *out, const struct buf *content, const char *path, struct why *why)
{
	if (buf_append(out, buf_span(content)) == ERR_NONE)
		return ERR_NONE;
	return why_set(why, ERR_TOO_LARGE, "a file within the size limit", "use a smaller file",
		"of %s, %zu bytes are too many", path, buf_len(content));
}

/* One byte more than `max` shows that the file is too large. */
static enum err read_whole(int fd, const char *path, size_t max, struct buf *out, struct why *why)
{
	CHECK(max < SIZE_MAX);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(max + 1); /* it can be a key */
	RETURN_IF_ERR(read_up_to(fd, path, max + 1, &content, why));
	if (buf_len(&content) > max)
		return why_set(why, ERR_TOO_LARGE, "a file within the size limit", "use a smaller file",
			"%s has more than %zu bytes", path, max);
	return append(out, &content, path, why);
}

enum err fd_read_file(const char *path, size_t max, struct buf *out, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(open_to_read(path, &fd, why));
	RETURN_IF_ERR(expect_regular(fd, path, why));
	return read_whole(fd, path, max, out, why);
}

#define SAFE_FILE "a regular file that only its owner can write and only its owner or group can read"
#define SAFE_FIX  "chown it to the user of this program or to root, and chmod it to 0600 or 0440"

static enum err expect_private(int fd, const char *path, struct why *why)
{
	struct stat stat;
	if (fstat(fd, &stat) != 0)
		return why_errno(why, SAFE_FILE, SAFE_FIX, "inspect", path);
	if (!S_ISREG(stat.st_mode))
		return why_set(why, ERR_DENIED, SAFE_FILE, SAFE_FIX, "%s is not a regular file", path);
	if (stat.st_uid != geteuid() && stat.st_uid != 0)
		return why_set(why, ERR_DENIED, SAFE_FILE, SAFE_FIX, "%s is owned by user %u", path, stat.st_uid);
	if ((stat.st_mode & 027) != 0)
		return why_set(why, ERR_DENIED, SAFE_FILE, SAFE_FIX, "%s has mode %04o", path, stat.st_mode & 07777);
	return ERR_NONE;
}

/* The checks use the open descriptor, so that the file that is checked is the file that is read, also behind a link. */
enum err fd_read_private_file(const char *path, size_t max, struct buf *out, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(open_to_read(path, &fd, why));
	RETURN_IF_ERR(expect_private(fd, path, why));
	return read_whole(fd, path, max, out, why);
}

enum err fd_read_head(const char *path, size_t max, struct buf *out, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(max);
	RETURN_IF_ERR(open_to_read(path, &fd, why));
	RETURN_IF_ERR(expect_regular(fd, path, why));
	RETURN_IF_ERR(read_up_to(fd, path, max, &content, why));
	return append(out, &content, path, why);
}

static enum err write_all(int fd, struct span content, const char *path, struct why *why)
{
	while (content.len > 0) {
		ssize_t written = write(fd, content.ptr, content.len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return why_errno(why, "enough disk space", "check the disk", "write", path);
		content = span_from(content, (size_t)written);
	}
	return ERR_NONE;
}

enum err fd_sync_folder(const char *folder, struct why *why)
{
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return why_errno(why, "a folder that can be synced", "check the disk", "sync", folder);
	return ERR_NONE;
}

enum err fd_sync_folder_of(const char *path, struct why *why)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(mem_freep) char *folder = slash == NULL   ? mem_strdup(".")
					    : slash == path ? mem_strdup("/")
							    : mem_printf("%.*s", (int)(slash - path), path);
	return fd_sync_folder(folder, why);
}

static enum err write_and_rename(
	const char *fresh, const char *path, struct span content, unsigned mode, struct why *why)
{
	/* Created with permissions for the owner only; O_EXCL follows no planted link. */
	_cleanup_fd_ int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_errno(why, "a writable folder", "check the folder's permissions", "create", fresh);
	enum err err = write_all(fd, content, fresh, why);
	if (err == ERR_NONE && (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0 || rename(fresh, path) != 0))
		err = why_errno(why, "a file that can be replaced", "check the folder and the disk", "replace", path);
	if (err != ERR_NONE)
		unlink(fresh);
	return err;
}

enum err fd_write_file(const char *path, struct span content, unsigned mode, struct why *why)
{
	CHECK((mode & ~0777u) == 0);
	_cleanup_(mem_freep) char *fresh = mem_printf("%s.new", path);
	unlink(fresh); /* left by a crash */
	RETURN_IF_ERR(write_and_rename(fresh, path, content, mode, why));
	return fd_sync_folder_of(path, why);
}

enum err fd_remove_file(const char *path, struct why *why)
{
	if (unlink(path) == 0)
		return fd_sync_folder_of(path, why);
	return errno == ENOENT ? ERR_NONE
			       : why_errno(why, "a file that can be removed", "check the folder", "remove", path);
}
