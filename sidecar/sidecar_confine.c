/* What the process may still do once it is made: the system calls of base/sandbox, and the files that its settings
 * name. So one that was taken over runs no other program, opens no other file, and reaches no other process of its
 * user.
 */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/sandbox/landlock.h"
#include "base/sandbox/sandbox.h"
#include "sidecar/sidecar_private.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define COMPONENT "sidecar"

static void allow(int list, const char *path, bool may_write)
{
	(void)landlock_allow(
		list, &(struct landlock_path){path, may_write}); /* where there is none, none can be opened */
}

/* The folder of the file, so that one that is replaced by renaming can be read again; the file alone directly in /. */
static void allow_beside(int list, const char *file, bool may_write)
{
	_cleanup_(mem_freep) char *folder = mem_strdup(file);
	char *slash = strrchr(folder, '/');
	if (slash == NULL)
		allow(list, ".", may_write);
	else if (slash == folder)
		allow(list, file, may_write);
	else
		*slash = '\0';
	if (slash != NULL && slash != folder)
		allow(list, folder, may_write);
}

/* And the folder above it, which may be exchanged as a whole, and the one that a link leads to. */
static void allow_file(int list, const char *file)
{
	char real[PATH_MAX];
	if (file == NULL || file[0] == '\0')
		return;
	allow_beside(list, file, false);
	_cleanup_(mem_freep) char *folder = mem_strdup(file);
	char *slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder) {
		*slash = '\0';
		allow_beside(list, folder, false);
	}
	if (realpath(file, real) != NULL)
		allow_beside(list, real, false);
}

static void allow_settings(int list, const struct sidecar *sidecar)
{
	const struct sidecar_config *config = sidecar->config;
	const char *const files[] = {sidecar->options.settings_file, config->token_file, config->kubernetes_token_file,
		config->x509_certificate_file, config->x509_key_file, config->istio.root_file,
		config->istio.token_file};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		allow_file(list, files[i]);
	allow(list, config->state_dir, true);
	allow_beside(list, config->admin_socket, true); /* it is removed at the end */
	if (config->workload_socket != NULL)
		allow_beside(list, config->workload_socket, true);
}

/* Names, addresses and limits of the host. */
static void allow_host(int list)
{
	static const char *const files[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		allow_file(list, files[i]);
	allow(list, "/proc", false);
	allow(list, "/dev/null", true);
	allow(list, "/dev/urandom", false);
}

static enum err confine_files(const struct sidecar *sidecar, struct why *why)
{
	_cleanup_fd_ int list = -1;
	RETURN_IF_ERR(landlock_new(&list, why));
	allow_settings(list, sidecar);
	allow_host(list);
	return landlock_enforce(list, why);
}

void sidecar_confine(const struct sidecar *sidecar)
{
	struct why why = {0};
	if (!sandbox_is_built_in()) {
		log_notice(COMPONENT, "built with a sanitizer: no system call filter, and no list of files");
		return;
	}
	if (confine_files(sidecar, &why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "running without a list of files", &why);
	if (sandbox_enter(SANDBOX_SIDECAR, &why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "running without a system call filter", &why);
}
