/* Federation: the bundle endpoint, and the bundles of partners. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/control_private.h"
#include <string.h>
#include <unistd.h>

static void add_folder(
	const struct control *control, const char *file, char *out[CONTROL_FEDERATION_PATHS_MAX], size_t *num)
{
	if (file == NULL || *num == CONTROL_FEDERATION_PATHS_MAX)
		return;
	char *folder = control_readable_path(control, file);
	if (access(folder, F_OK) != 0) { /* the log of the partner's fetch has it */
		mem_free(folder);
		return;
	}
	for (size_t i = 0; i < *num; i++)
		if (strcmp(out[i], folder) == 0) {
			mem_free(folder);
			return;
		}
	out[(*num)++] = folder;
}

/* The files of a reload that are in other folders need a restart. */
size_t control_federation_paths(const struct control *control, char *out[CONTROL_FEDERATION_PATHS_MAX])
{
	const struct control_config *config = control->config;
	size_t num = 0;
	if (config->federation.port == 0 && config->federation.num_partners == 0)
		return 0;
	add_folder(control, "/etc/ssl/certs/ca-certificates.crt", out, &num);
	add_folder(control, config->federation.certificate, out, &num);
	add_folder(control, config->federation.key, out, &num);
	for (size_t i = 0; i < config->federation.num_partners; i++) {
		add_folder(control, config->federation.partners[i].bundle_file, out, &num);
		add_folder(control, config->federation.partners[i].ca, out, &num);
	}
	return num;
}

void control_start_federation(struct control *control)
{
	const struct federation_options options = {.loop = control->loop,
		.store = control->store,
		.issuer = control->issuer,
		.config = control->first_config,
		.name_servers = control->name_servers,
		.metrics = metrics_shard(control->metrics, 0),
		.listening_fd = TAKE_FD(control->federation_fd)};
	CHECK(control->federation == NULL);
	control->federation = federation_new(&options);
}
