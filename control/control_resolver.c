/* How names are resolved after the network process has locked itself out: those of partners, which a reload may add,
 * and of etcd's members. */
#include "base/core/mem.h"
#include "control/control_private.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char settings[] = "/etc/resolv.conf";

/* Where systemd-resolved or NetworkManager keep it, and replace it; NULL: in /etc, of which no more is opened. */
static char *folder_of_settings(const struct control *control)
{
	char path[PATH_MAX];
	if (realpath(settings, path) == NULL)
		return NULL;
	char *folder = folder_of(path);
	if (strcmp(folder, "/etc") != 0 && !control_lies_above_keys(control, folder))
		return folder;
	mem_free(folder);
	return NULL;
}

size_t control_resolver_paths(const struct control *control, char *out[CONTROL_RESOLVER_PATHS_MAX])
{
	static const char *const files[] = {"/etc/hosts", settings, "/etc/nsswitch.conf"};
	size_t num = 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (access(files[i], F_OK) == 0)
			out[num++] = mem_strdup(files[i]);
	char *folder = folder_of_settings(control);
	if (folder != NULL)
		out[num++] = folder;
	return num;
}
