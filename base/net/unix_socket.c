/* The Unix sockets of socket.h: paths, permissions, existing files. */
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/passed_sockets.h"
#include "base/net/socket.h"
#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static enum err sockaddr_of(const char *path, struct sockaddr_un *out, struct why *why)
{
	_Static_assert(sizeof(out->sun_path) == 108, "the error names 107");
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof out->sun_path)
		return why_set(why, ERR_CONFIG, "a socket path of 1 to 107 bytes", "use a shorter path",
			"the socket's path has %zu bytes", len);
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(out->sun_path, path, len);
	return ERR_NONE;
}

/* connect() of a Unix socket returns its result at once; only ECONNREFUSED shows that no program listens any more. */
static bool is_in_use(const struct sockaddr_un *sa)
{
	_cleanup_fd_ int probe = -1;
	if (fd_socket(AF_UNIX, SOCK_STREAM, &probe) != ERR_NONE)
		return true; /* unknown: refuse to replace it */
	return connect(probe, (const struct sockaddr *)sa, sizeof *sa) == 0 || errno != ECONNREFUSED;
}

/* Removes the socket of an earlier run. Any other file is an error, and so is a socket that another program still
 * serves: its clients would connect to this process. */
static enum err remove_stale(const struct sockaddr_un *sa, struct why *why)
{
	const char *path = sa->sun_path;
	struct stat stat;
	if (lstat(path, &stat) != 0) {
		if (errno == ENOENT)
			return ERR_NONE;
		return why_set(why, err_from_errno(errno), "a folder that can be searched",
			"check the folder's permissions", "cannot stat %s: %m", path);
	}
	if (!S_ISSOCK(stat.st_mode))
		return why_set(why, ERR_EXISTS, "no file, or the socket of an earlier run",
			"remove it or choose another path", "%s is %s", path,
			S_ISLNK(stat.st_mode) ? "a symbolic link" : "another kind of file");
	if (stat.st_uid != geteuid())
		return why_set(why, ERR_DENIED, "a socket of the program's own user",
			"remove it or choose another path", "%s is owned by uid %u", path, (unsigned)stat.st_uid);
	if (is_in_use(sa))
		return why_set(why, ERR_EXISTS, "a socket that no program listens on",
			"stop the program that listens there, or choose another path", "%s is in use", path);
	if (unlink(path) != 0 && errno != ENOENT)
		return why_set(why, err_from_errno(errno), "a writable folder", "check the folder's permissions",
			"cannot remove %s: %m", path);
	return ERR_NONE;
}

static enum err bind_and_listen(int fd, const struct sockaddr_un *sa, unsigned mode)
{
	/* fchmod() on the socket before bind() sets the permissions with which the file is created (minus the umask),
	 * so that it is never accessible to all. */
	if (fchmod(fd, (mode_t)mode) != 0 || bind(fd, (const struct sockaddr *)sa, sizeof *sa) != 0)
		return err_from_errno(errno);
	if (chmod(sa->sun_path, (mode_t)mode) != 0 || listen(fd, BACKLOG) != 0)
		return err_from_errno(errno);
	return ERR_NONE;
}

enum err socket_listen_unix(
	const char *path, unsigned mode, struct passed_sockets *passed, int *out_fd, struct why *why)
{
	struct sockaddr_un sa;
	_cleanup_fd_ int fd = passed_sockets_take_unix(passed, path);
	if (fd >= 0) {
		*out_fd = TAKE_FD(fd);
		return ERR_NONE;
	}
	RETURN_IF_ERR(sockaddr_of(path, &sa, why));
	RETURN_IF_ERR(remove_stale(&sa, why));
	enum err err = fd_socket(AF_UNIX, SOCK_STREAM, &fd);
	if (err == ERR_NONE)
		err = bind_and_listen(fd, &sa, mode);
	if (err != ERR_NONE)
		return why_set(why, err, "a writable folder", "create it or check its permissions",
			"cannot create the socket %s: %m", path);
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

void socket_remove_unix(const char *path)
{
	struct sockaddr_un sa;
	if (sockaddr_of(path, &sa, NULL) == ERR_NONE)
		(void)!remove_stale(&sa, NULL);
}

enum err socket_connect_unix(const char *path, int *out_fd, struct why *why)
{
	struct sockaddr_un sa;
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(sockaddr_of(path, &sa, why));
	enum err err = fd_socket(AF_UNIX, SOCK_STREAM, &fd);
	if (err == ERR_NONE && connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
		err = err_from_errno(errno); /* EAGAIN: the backlog is full */
	if (err != ERR_NONE)
		return why_set(why, err, "a socket that a program listens on",
			"start that program, or correct the path", "cannot connect to %s: %m", path);
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}
