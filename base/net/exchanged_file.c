#include "base/net/exchanged_file.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* In place: the block that holds the former content is used again. */
static bool write_in_place(const char *path, struct span content, unsigned mode)
{
	struct stat found;
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	return fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 1 &&
	       pwrite(fd, content.ptr, content.len, 0) == (ssize_t)content.len &&
	       ftruncate(fd, (off_t)content.len) == 0 && fchmod(fd, (mode_t)mode) == 0 && fsync(fd) == 0;
}

enum err exchanged_file_write(const char *path, struct span content, unsigned mode, struct why *why)
{
	_cleanup_(mem_freep) char *spare = mem_printf("%s.spare", path);
	CHECK((mode & ~0777u) == 0 && content.len <= EXCHANGED_FILE_MAX);
	if (access(path, F_OK) != 0) /* the first time: what follows makes the spare */
		RETURN_IF_ERR(fd_write_file(path, content, mode, why));
	if (write_in_place(spare, content, mode) && renameat2(AT_FDCWD, spare, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		return fd_sync_folder_of(path, why);
	unlink(spare); /* its block, if it has one, is room for the next */
	return fd_write_file(path, content, mode, why);
}
