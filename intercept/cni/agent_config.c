#include "intercept/cni/agent.h"

static const struct setting_def ROWS[] = {
#define SETTING SETTING_DEF
#include "intercept/cni/settings.def"
#undef SETTING
};

const struct setting_table agent_settings = {"HANDFAST_CNI", ROWS, sizeof ROWS / sizeof ROWS[0], NULL, NULL};

void agent_config_read(struct settings *settings, struct agent_config *out)
{
	struct setting_node *root = settings_root(settings), *log = setting_map(settings, root, "log");
	*out = (struct agent_config){
		.node_name = setting_required_text(
			settings, root, "node_name", "the node's name, from the pod's spec.nodeName"),
		.kubeconfig = setting_text(settings, root, "kubeconfig"),
		.socket = setting_path(settings, root, "socket", SETTING_SOCKET_MAX),
		.init_program = setting_path(settings, root, "init_program", SETTING_PATH_MAX),
		.health_port = (uint16_t)setting_number(settings, root, "health_port"),
		.log_level = setting_keyword(settings, log, "level"),
		.log_json = setting_keyword(settings, log, "format") == 1,
	};
	(void)settings_finish(settings);
}
