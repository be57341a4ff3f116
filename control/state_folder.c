#include "control/state_folder.h"
#include "base/core/mem.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_printf("%.*s", (int)(slash - path), path);
}

static size_t len_without_slashes(const char *path)
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len;
}

bool folder_lies_in(const char *path, const char *folder)
{
	size_t len = len_without_slashes(folder);
	if (strncmp(path, folder, len) != 0)
		return false;
	return path[len] == '\0' || path[len] == '/' || (len == 1 && folder[0] == '/');
}

enum err folder_make(const char *path, unsigned mode, struct why *why)
{
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return ERR_NONE;
	return why_set(why, err_from_errno(errno), "a folder that exists or can be made",
		"make it, with the control plane's user as its owner", "cannot open or make the folder %s: %m", path);
}

static enum err make_private(const char *path, struct why *why)
{
	struct stat found;
	RETURN_IF_ERR(folder_make(path, 0700, why));
	if (lstat(path, &found) != 0 || !S_ISDIR(found.st_mode))
		return why_set(
			why, ERR_CONFIG, "a folder", "remove the file that is there", "%s is not a folder", path);
	if ((found.st_mode & 077) != 0 || found.st_uid != geteuid())
		return why_set(why, ERR_DENIED,
			"a state folder of the control plane's user that no other user can enter",
			"run as its owner, or chown it to the control plane's user and chmod it to 0700",
			"%s has mode %04o and uid %u, and this process has uid %u", path, found.st_mode & 07777u,
			found.st_uid, geteuid());
	return ERR_NONE;
}

enum err state_folder_open(const char *state_dir, struct state_folder *out, struct why *why)
{
	_cleanup_(state_folder_done) struct state_folder folder = {.store_folder = mem_printf("%s/store", state_dir),
		.store_path = mem_printf("%s/store/control.db", state_dir),
		.key_folder = mem_printf("%s/keys", state_dir)};
	RETURN_IF_ERR(make_private(state_dir, why));
	RETURN_IF_ERR(make_private(folder.store_folder, why));
	*out = folder;
	folder = (struct state_folder){0};
	return ERR_NONE;
}

enum err state_folder_own(const char *state_dir, struct why *why)
{
	return make_private(state_dir, why);
}

void state_folder_done(struct state_folder *folder)
{
	mem_free(folder->store_folder);
	mem_free(folder->store_path);
	mem_free(folder->key_folder);
	*folder = (struct state_folder){0};
}
