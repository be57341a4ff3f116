#include "control/issue/confine.h"
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/sandbox/sandbox.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Defined by newer headers than those of Debian 12. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* No core dumps, and no process of the same user can attach by ptrace or duplicate a descriptor, such as the one to the
 * signer. */
static bool close_to_others(void)
{
	const struct rlimit none = {0, 0};
	return prctl(PR_SET_DUMPABLE, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

enum err confine_signer(struct why *why)
{
	if (!close_to_others())
		return why_set(
			why, ERR_SYSTEM, "a kernel that can confine the process", "allow prctl", "prctl failed: %m");
	return sandbox_enter(SANDBOX_SIGNER, why);
}

#define READS       (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define FILE_WRITES (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define WRITES                                                                                                         \
	(FILE_WRITES | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |             \
		LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static uint64_t handled_accesses(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return 0;
	return (READS | WRITES) & ~(abi < 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
}

static bool add_path(int ruleset, const struct confine_path *allowed, uint64_t handled)
{
	_cleanup_fd_ int fd = open(allowed->path, O_PATH | O_CLOEXEC);
	struct stat found;
	if (fd < 0 || fstat(fd, &found) != 0)
		return false;
	uint64_t access = READS | (allowed->may_write ? WRITES : 0);
	if (!S_ISDIR(found.st_mode))
		access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | FILE_WRITES;
	struct landlock_path_beneath_attr rule = {.allowed_access = access & handled, .parent_fd = fd};
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

static enum err cannot(struct why *why, const char *what)
{
	return why_set(why, ERR_UNSUPPORTED, "a network process that cannot reach the signer's keys",
		"run a kernel with Landlock (5.13 or later)", "%s", what);
}

enum err confine_network(const char *key_folder, const struct confine_path *paths, size_t num_paths, struct why *why)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = handled_accesses()};
	if (attr.handled_access_fs == 0)
		return cannot(why, "the kernel has no Landlock");
	_cleanup_fd_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (ruleset < 0)
		return cannot(why, "Landlock made no ruleset");
	for (size_t i = 0; i < num_paths; i++)
		if (!add_path(ruleset, &paths[i], attr.handled_access_fs))
			return why_set(why, ERR_CONFIG, "a path that exists", "make it or name another",
				"there is no %s", paths[i].path);
	if (!close_to_others() || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return cannot(why, "Landlock refused the rules");
	/* A listed path may be above the key folder: verify with the kernel. */
	_cleanup_fd_ int fd = open(key_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 || errno != EACCES)
		return cannot(why, "the key folder can still be opened");
	return sandbox_enter(SANDBOX_CONTROL, why);
}

/* --- all but the key folder --- */

/* What lies in the folder, but for `left_out`. Links are left out too: where they lead has a rule of its own. */
static void add_entries(int ruleset, const char *folder, const char *left_out, uint64_t handled)
{
	DIR *entries = opendir(folder);
	for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
		bool is_special = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
		if (is_special || entry->d_type == DT_LNK || strcmp(entry->d_name, left_out) == 0)
			continue;
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, entry->d_name);
		const struct confine_path allowed = {path, true};
		(void)add_path(ruleset, &allowed, handled); /* it may be gone meanwhile */
	}
	if (entries != NULL)
		closedir(entries);
}

/* The folders from the root to the one of the keys. */
static void add_all_beside(int ruleset, char *key_folder, uint64_t handled)
{
	for (char *at = key_folder; at != NULL && at[1] != 0;) {
		char *next = strchr(at + 1, '/');
		*at = 0;
		if (next != NULL)
			*next = 0;
		add_entries(ruleset, at == key_folder ? "/" : key_folder, at + 1, handled);
		*at = '/';
		if (next != NULL)
			*next = '/';
		at = next;
	}
}

enum err confine_command(const char *key_folder, struct why *why)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = handled_accesses()};
	char path[PATH_MAX];
	if (attr.handled_access_fs == 0)
		return cannot(why, "the kernel has no Landlock");
	if (realpath(key_folder, path) == NULL)
		return why_set(why, ERR_CONFIG, "a key folder", "restore it", "there is no %s", key_folder);
	_cleanup_fd_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (ruleset < 0)
		return cannot(why, "Landlock made no ruleset");
	add_all_beside(ruleset, path, attr.handled_access_fs);
	if (!close_to_others() || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return cannot(why, "Landlock refused the rules");
	_cleanup_fd_ int fd = open(key_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 || errno != EACCES ? cannot(why, "the key folder can still be opened") : ERR_NONE;
}
