/* handfast-cni: the CNI plugin, and the agent of a node that it asks. A container runtime starts it with CNI_COMMAND
 * and without arguments. */
#include "base/core/log.h"
#include "base/core/version.h"
#include "base/net/fd.h"
#include "base/sandbox/sandbox.h"
#include "base/settings/command_line/program_settings.h"
#include "intercept/cni/agent.h"
#include "intercept/cni/plugin.h"
#include "intercept/cni/versions.h"
#include <signal.h>
#include <stdlib.h>

extern char **environ;

static const struct cli_command commands[] = {
#define COMMAND(words, arguments, help) {words, arguments, help},
#include "intercept/cni/commands.def"
#undef COMMAND
};

static const struct cli_program program = {.name = "handfast-cni",
	.about = "Writes the interception rules of pods when their network is set up, where the pods may not do it "
		 "themselves\n"
		 "(PodSecurity levels baseline and restricted). A container runtime starts it as a CNI plugin, with\n"
		 "CNI_COMMAND in its environment; it then asks the agent on its node.",
	.commands = commands,
	.num_commands = sizeof commands / sizeof commands[0],
	.settings = &agent_settings,
	.release = HANDFAST_VERSION,
	.put_versions = versions_put};

static enum cli_exit run_agent(const struct agent_config *config)
{
	struct why why = {0};
	log_set_level((enum log_level)config->log_level);
	log_set_json(config->log_json);
	enum err err = agent_run(config, &why);
	if (err != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "agent", "ends", &why);
	return cli_exit_of(err);
}

static enum cli_exit uninstall(const struct command_line *line, const struct agent_config *config)
{
	struct why why = {0};
	if (sandbox_close(&why) != ERR_NONE || sandbox_enter(SANDBOX_COMMAND, &why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, "uninstall", "running without a system call filter", &why);
	enum err err = install_remove(&config->install, &why);
	return err != ERR_NONE ? command_line_fail(line, err, &why)
			       : command_line_answer(line, "the plugin is not on this node any more");
}

int main(int argc, char **argv)
{
	_cleanup_(command_line_done) struct command_line line = {0};
	struct agent_config config;
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 1 && getenv("CNI_COMMAND") != NULL)
		return plugin_run();
	log_open(program.name);
	(void)fd_limit_raise();
	if (!command_line_begin(&program, argc, argv, &line))
		return CLI_DONE;
	_cleanup_(settings_freep) struct settings *settings = program_settings_read(&line, environ);
	agent_config_read(settings, &config);
	settings_errors_put(settings, &line.errors);
	bool uninstalls = command_line_is(&line, "uninstall");
	if (config.node_name == NULL && !uninstalls)
		command_line_error_text(
			&line, "node_name", "the node's name, of the pod's spec.nodeName", "it is not given");
	enum cli_exit code = CLI_DONE;
	if (buf_len(&line.errors) > 0)
		code = command_line_refuse(&line);
	else if (!line.checks_only)
		code = uninstalls ? uninstall(&line, &config) : run_agent(&config);
	agent_config_done(&config);
	return (int)code;
}
