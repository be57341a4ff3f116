#include "base/core/mem.h"
#include "intercept/cni/agent.h"

static const struct setting_def ROWS[] = {
#define SETTING SETTING_DEF
#include "intercept/cni/settings.def"
#undef SETTING
};

const struct setting_table agent_settings = {"HANDFAST_CNI", ROWS, sizeof ROWS / sizeof ROWS[0], NULL, NULL};

void agent_config_read(struct settings *settings, struct agent_config *out)
{
	struct setting_node *root = settings_root(settings), *log = setting_map(settings, root, "log"), *excluded;
	size_t num = setting_list(settings, root, "exclude_namespaces", &excluded);
	*out = (struct agent_config){
		.node_name = setting_text(settings, root, "node_name"),
		.daemon_set = setting_text(settings, root, "daemon_set"),
		.at_end = (enum agent_removal)setting_keyword(settings, root, "remove_at_end"),
		.excluded = mem_calloc(num + 1, sizeof(char *)),
		.kubeconfig = setting_text(settings, root, "kubeconfig"),
		.socket = setting_path(settings, root, "socket", SETTING_SOCKET_MAX),
		.init_program = setting_path(settings, root, "init_program", SETTING_PATH_MAX),
		.health_port = (uint16_t)setting_number(settings, root, "health_port"),
		.log_level = setting_keyword(settings, log, "level"),
		.log_json = setting_keyword(settings, log, "format") == 1,
	};
	for (size_t i = 0; i < num; i++)
		out->excluded[i] = setting_item_text(settings, excluded, i);
	out->install = (struct install_options){
		.bin_dir = setting_path(settings, root, "bin_dir", SETTING_PATH_MAX),
		.conf_dir = setting_path(settings, root, "conf_dir", SETTING_PATH_MAX),
		.entry = {out->socket, out->excluded, num},
	};
	(void)settings_finish(settings);
}

void agent_config_done(struct agent_config *config)
{
	mem_free(config->excluded);
}
