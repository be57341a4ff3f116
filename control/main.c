/* handfast-control: the control plane. */
#include "base/core/log.h"
#include "base/core/version.h"
#include "base/settings/command_line/command_line.h"
#include "control/control.h"
#include "control/issue/signer.h"
#include "control/versions.h"
#include <signal.h>
#include <string.h>

extern char **environ;

static const struct cli_command commands[] = {
#define COMMAND(words, arguments, help) {words, arguments, help},
#include "control/commands.def"
#undef COMMAND
};
static const struct cli_flag flags[] = {{"config", "FILE", "settings, YAML", false},
	{"bans-from", "PATH", "of restore: take over the bans of a newer copy of the state folder or store", false},
	{"mounted", "FOLDER", "of keys: where the Secret with the keys is mounted", false}};
static const struct cli_program program = {.name = "handfast-control",
	.about = "Attests workloads, issues their certificates, and distributes addresses, identities and policy to "
		 "sidecars.\n"
		 "SIGHUP reads the settings again; SIGTERM stops, a second one at once.",
	.commands = commands,
	.num_commands = sizeof commands / sizeof commands[0],
	.default_command = "run",
	.flags = flags,
	.num_flags = sizeof flags / sizeof flags[0],
	.settings = &control_settings,
	.release = HANDFAST_VERSION,
	.put_versions = versions_put};

static enum cli_exit serve(const struct control_source *source, struct control_config *config)
{
	_cleanup_(control_freep) struct control *control = NULL;
	struct why why = {0};
	log_set_level((enum log_level)config->log_level);
	log_set_json(config->log_json);
	enum err err = control_new(source, config, HANDFAST_VERSION, &control, &why);
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "control", "cannot start", &why);
		return cli_exit_of(err);
	}
	return cli_exit_of(control_run(control));
}

static enum cli_exit restore(
	const struct control_source *source, struct control_config *config, const struct command_line *line)
{
	struct why why = {0};
	enum err err = control_restore(source, config, command_line_value(line, "bans-from"), &why);
	return err == ERR_NONE ? command_line_answer(line, "this state has a new incarnation; start the control plane")
			       : command_line_fail(line, err, &why);
}

static enum cli_exit keys(struct control_config *config, const struct command_line *line)
{
	struct why why = {0};
	enum err err = control_keys(config, command_line_value(line, "mounted"), &why);
	control_config_free(config);
	return err == ERR_NONE ? command_line_answer(line, "the key folder is ready")
			       : command_line_fail(line, err, &why);
}

/* Blocked from before the settings are read until control_run() handles it: a signal in between neither ends the
 * process nor is lost.
 */
static void hold_hangup(void)
{
	sigset_t hangup;
	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, NULL);
}

int main(int argc, char **argv)
{
	_cleanup_(command_line_done) struct command_line line = {0};
	struct control_source source = {.line = &line, .environment = environ};
	struct control_config *config;
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	log_open(program.name);
	if (!command_line_begin(&program, argc, argv, &line))
		return CLI_DONE;
	source.path = command_line_value(&line, "config");
	bool restores = command_line_is(&line, "restore");
	if (!restores && command_line_value(&line, "bans-from") != NULL)
		command_line_error_text(
			&line, "--bans-from", "the command restore", "it is given with another command");
	bool makes_keys = command_line_is(&line, "keys");
	if (makes_keys != (command_line_value(&line, "mounted") != NULL))
		command_line_error_text(
			&line, "--mounted", "--mounted with the command keys", "only one of the two is given");
	if (!restores)
		hold_hangup();
	if (control_read_settings(&source, &line.errors, &config) != ERR_NONE)
		return (int)command_line_refuse(&line);
	if (!line.checks_only && restores)
		return (int)restore(&source, config, &line);
	if (!line.checks_only && makes_keys)
		return (int)keys(config, &line);
	if (!line.checks_only)
		return (int)serve(&source, config);
	control_config_free(config);
	return CLI_DONE;
}
