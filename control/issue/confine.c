#include "control/issue/confine.h"
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/sandbox/sandbox.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum err confine_signer(struct why *why)
{
	RETURN_IF_ERR(sandbox_close(why));
	return sandbox_enter(SANDBOX_SIGNER, why);
}

static enum err cannot(struct why *why, const char *what)
{
	return why_set(why, ERR_UNSUPPORTED, "a network process that cannot reach the signer's keys",
		"run a kernel with Landlock (5.13 or later)", "%s", what);
}

/* A listed path may be above the key folder: this verifies with the kernel. */
static enum err enforce(int list, const char *key_folder, struct why *why)
{
	RETURN_IF_ERR(sandbox_close(why));
	RETURN_IF_ERR(landlock_enforce(list, why));
	_cleanup_fd_ int fd = open(key_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 || errno != EACCES ? cannot(why, "the key folder can still be opened") : ERR_NONE;
}

enum err confine_network(const char *key_folder, const struct landlock_path *paths, size_t num_paths, struct why *why)
{
	_cleanup_fd_ int list = -1;
	RETURN_IF_ERR(landlock_new(&list, why));
	for (size_t i = 0; i < num_paths; i++)
		if (!landlock_allow(list, &paths[i]))
			return why_set(why, ERR_CONFIG, "a path that exists", "make it or name another",
				"there is no %s", paths[i].path);
	RETURN_IF_ERR(enforce(list, key_folder, why));
	return sandbox_enter(SANDBOX_CONTROL, why);
}

/* --- all but the key folder --- */

/* What lies in the folder, but for `left_out`. Links are left out too: where they lead has a rule of its own. */
static void add_entries(int list, const char *folder, const char *left_out)
{
	DIR *entries = opendir(folder);
	for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
		bool is_special = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
		if (is_special || entry->d_type == DT_LNK || strcmp(entry->d_name, left_out) == 0)
			continue;
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, entry->d_name);
		(void)landlock_allow(list, &(struct landlock_path){path, true}); /* it may be gone meanwhile */
	}
	if (entries != NULL)
		closedir(entries);
}

/* The folders from the root to the one of the keys. */
static void add_all_beside(int list, char *key_folder)
{
	for (char *at = key_folder; at != NULL && at[1] != 0;) {
		char *next = strchr(at + 1, '/');
		*at = 0;
		if (next != NULL)
			*next = 0;
		add_entries(list, at == key_folder ? "/" : key_folder, at + 1);
		*at = '/';
		if (next != NULL)
			*next = '/';
		at = next;
	}
}

static enum err leave_key_folder(const char *key_folder, struct why *why)
{
	char path[PATH_MAX];
	_cleanup_fd_ int list = -1;
	RETURN_IF_ERR(landlock_new(&list, why));
	if (realpath(key_folder, path) == NULL)
		return why_set(why, ERR_CONFIG, "a key folder", "restore it", "there is no %s", key_folder);
	add_all_beside(list, path);
	return enforce(list, key_folder, why);
}

enum err confine_command(const char *key_folder, struct why *why)
{
	RETURN_IF_ERR(leave_key_folder(key_folder, why));
	return sandbox_enter(SANDBOX_FOREIGN, why);
}

enum err confine_module(const char *key_folder, struct why *why)
{
	RETURN_IF_ERR(leave_key_folder(key_folder, why));
	return sandbox_enter(SANDBOX_MODULE, why);
}
