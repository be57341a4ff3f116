/* What attestation outside Kubernetes needs of the file system after the network process has locked itself out. */
#include "base/core/mem.h"
#include "control/control_private.h"
#include <string.h>

char *control_attestation_folder(const struct control *control)
{
	const char *path = control->config->streams_socket;
	return path == NULL ? NULL : folder_of(path);
}

char *control_readable_path(const struct control *control, const char *file)
{
	char *folder = folder_of(file);
	if (!control_lies_above_keys(control, folder))
		return folder;
	mem_free(folder);
	return mem_strdup(file);
}

size_t control_attestation_paths(const struct control *control, char *out[3])
{
	const char *files[] = {control->config->x509_roots, control->config->x509_crl};
	size_t num = 0;
	for (size_t i = 0; i < 2 && files[i] != NULL; i++) {
		_cleanup_(mem_freep) char *path = control_readable_path(control, files[i]);
		bool is_known = num == 1 && strcmp(out[0], path) == 0;
		if (!is_known)
			out[num++] = TAKE_PTR(path);
	}
	if (control->config->streams_socket != NULL)
		out[num++] = mem_strdup("/proc"); /* user and cgroup of who connects; what needs ptrace stays closed */
	return num;
}
