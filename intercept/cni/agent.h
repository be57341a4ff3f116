/* The agent of a node: watches the node's pods, answers the plugin, and writes rules into network namespaces by
 * handfast-init. One loop. Only root may ask. */
#pragma once

#include "base/settings/settings.h"
#include "intercept/cni/install.h"

extern const struct setting_table agent_settings; /* settings.def */

struct agent_config {          /* texts borrowed from its settings */
	const char *node_name; /* NULL: none */
	const char *kubeconfig, *socket, *init_program, *daemon_set;
	struct install_options install;
	enum agent_removal { AGENT_REMOVES_IF_GONE, AGENT_REMOVES, AGENT_LEAVES } at_end;
	const char **excluded; /* namespaces */
	uint16_t health_port;
	unsigned log_level;
	bool log_json;
};

/* Errors stay in the settings; the result is of use without any. */
void agent_config_read(struct settings *settings, struct agent_config *out);
void agent_config_done(struct agent_config *config);

/* Until SIGTERM or SIGINT. The configuration must live that long. */
enum err agent_run(const struct agent_config *config, struct why *why) _must_use_;
