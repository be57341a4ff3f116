#include "sidecar/identity/private_file.h"

#include "base/core/check.h"
#include "base/net/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAFE_FILE "a regular file that only its owner can write and only its owner or group can read"
#define SAFE_FIX  "chown it to the sidecar's user or root and chmod it to 0600 or 0440"

static enum err check_safe(int fd, const char *path, struct why *why)
{
	struct stat stat;
	if (fstat(fd, &stat) != 0)
		return why_set(why, err_from_errno(errno), SAFE_FILE, SAFE_FIX, "cannot inspect %s: %m", path);
	if (!S_ISREG(stat.st_mode))
		return why_set(why, ERR_DENIED, SAFE_FILE, SAFE_FIX, "%s is not a regular file", path);
	if (stat.st_uid != geteuid() && stat.st_uid != 0)
		return why_set(why, ERR_DENIED, SAFE_FILE, SAFE_FIX, "%s is owned by user %u", path, stat.st_uid);
	if ((stat.st_mode & 027) != 0)
		return why_set(why, ERR_DENIED, SAFE_FILE, SAFE_FIX, "%s has mode %04o", path, stat.st_mode & 07777);
	return ERR_NONE;
}

static enum err read_all(int fd, const char *path, size_t max, struct buf *content, struct why *why)
{
	for (;;) {
		uint8_t *room;
		CHECK(buf_reserve(content, buf_room(content), &room) == ERR_NONE);
		ssize_t got = read(fd, room, buf_room(content));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_set(
				why, ERR_IO, "a file that can be read", "check the disk", "cannot read %s: %m", path);
		buf_commit(content, (size_t)got);
		if (got == 0)
			return ERR_NONE;
		if (buf_len(content) > max)
			return why_set(why, ERR_TOO_LARGE, "a file within the size limit",
				"check that the path is correct", "%s has more than %zu bytes", path, max);
	}
}

/* The checks use the open descriptor, so that the file that is checked is the file that is read, also behind a link. */
enum err private_file_read(const char *path, size_t max, struct buf *out, struct why *why)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return why_set(why, err_from_errno(errno), "a file that can be read",
			"check the path and its permissions", "cannot open %s: %m", path);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(max + 1);
	RETURN_IF_ERR(check_safe(fd, path, why));
	RETURN_IF_ERR(read_all(fd, path, max, &content, why));
	return buf_append(out, buf_span(&content));
}
