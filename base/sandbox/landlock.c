#include "base/sandbox/landlock.h"
#include "base/core/cleanup.h"
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Defined by newer headers than those of Debian 12. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define READS       (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define FILE_WRITES (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define WRITES                                                                                                         \
	(FILE_WRITES | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |             \
		LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* A rule may name no access that the kernel does not know. */
static uint64_t handled_accesses(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return 0;
	return (READS | WRITES) & ~(abi < 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
}

static enum err cannot(struct why *why, const char *what)
{
	return why_set(why, ERR_UNSUPPORTED, "a kernel that restricts the process's files (Landlock)",
		"run a kernel with Landlock (5.13 or later)", "%s", what);
}

enum err landlock_new(int *out_fd, struct why *why)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs = handled_accesses()};
	if (attr.handled_access_fs == 0)
		return cannot(why, "the kernel has no Landlock");
	*out_fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	return *out_fd < 0 ? cannot(why, "Landlock made no ruleset") : ERR_NONE;
}

static bool allow(int list, int path_fd, bool may_write)
{
	struct stat found;
	if (fstat(path_fd, &found) != 0)
		return false;
	uint64_t access = READS | (may_write ? WRITES : 0);
	if (!S_ISDIR(found.st_mode))
		access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | FILE_WRITES;
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = access & handled_accesses(), .parent_fd = path_fd};
	return syscall(SYS_landlock_add_rule, list, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

bool landlock_allow(int fd, const struct landlock_path *path)
{
	int path_fd = open(path->path, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return false;
	bool is_allowed = allow(fd, path_fd, path->may_write);
	close(path_fd);
	return is_allowed;
}

enum err landlock_enforce(int fd, struct why *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		return cannot(why, "Landlock refused the rules");
	return ERR_NONE;
}
