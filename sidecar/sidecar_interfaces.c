/* The interfaces beside the data plane: pages, the admin socket and its commands, the Workload API. */
#include "base/core/log.h"
#include "sidecar/process.h"
#include "sidecar/sidecar_private.h"

#define COMPONENT "sidecar"

static const char *on_command(void *arg, enum admin_command command)
{
	struct sidecar *sidecar = arg;
	switch (command) {
	case ADMIN_DRAIN:
		sidecar_drain(sidecar);
		return "draining\n";
	case ADMIN_QUIT:
		sidecar_hand_over_stop(sidecar);
		loop_stop(sidecar->loop);
		return "ending\n";
	case ADMIN_RELEASE:
		return sidecar_identity_release(sidecar);
	}
	return "\n";
}

/* Fatal: a workload that relies on it would have no identity, and the settings are wrong. */
static enum err workload_api_open(struct sidecar *sidecar, struct why *why)
{
	const struct sidecar_config *config = sidecar->config;
	if (config->workload_socket == NULL)
		return ERR_NONE;
	const struct workload_api_options options = {.loop = sidecar->loop,
		.path = config->workload_socket,
		.passed = sidecar->take_over.sockets,
		.is_held = sidecar->take_over.is_open,
		.allows_every_user = config->workload_every_user,
		.uids = config->workload_uids,
		.num_uids = config->num_workload_uids};
	return workload_api_new(&options, &sidecar->workload_api, why);
}

enum err sidecar_interfaces_open(struct sidecar *sidecar, struct why *why)
{
	const struct sidecar_config *config = sidecar->config;
	struct admin_options options = {.admin_port = config->admin_port,
		.metrics_port = config->metrics_port,
		.ipv6 = process_has_ipv6(),
		.passed = sidecar->take_over.sockets,
		.is_held = sidecar->take_over.is_open};
	const struct admin_socket_options socket_options = {.loop = sidecar->loop,
		.path = config->admin_socket,
		.passed = sidecar->take_over.sockets,
		.is_held = sidecar->take_over.is_open,
		.on_command = on_command,
		.on_hand_over = sidecar_on_hand_over,
		.given = sidecar->options.given,
		.arg = sidecar};
	struct admin_pages pages = sidecar_pages(sidecar);
	struct why socket_why = {0};
	RETURN_IF_ERR(workload_api_open(sidecar, why));
	RETURN_IF_ERR(admin_new(sidecar->loop, &options, &pages, &sidecar->admin, why));
	/* Not fatal: SIGTERM still drains, and an image without /run must not stop the workload's traffic. */
	if (admin_socket_new(&socket_options, &sidecar->admin_socket, &socket_why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, COMPONENT,
			"cannot open the admin socket: drain and quit work by signal only", &socket_why);
	return ERR_NONE;
}
