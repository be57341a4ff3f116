/* handfast-control: the control plane. */
#include "base/core/log.h"
#include "base/core/version.h"
#include "base/sandbox/sandbox.h"
#include "base/settings/command_line/command_line.h"
#include "control/ca_source/command_runner.h"
#include "control/control.h"
#include "control/issue/signer.h"
#include "control/versions.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

extern char **environ;

static const struct cli_command commands[] = {
#define COMMAND(words, arguments, help) {words, arguments, help},
#include "control/commands.def"
#undef COMMAND
};
static const struct cli_flag flags[] = {{"config", "FILE", "the settings file, in YAML", false},
	{"bans-from", "PATH", "restore: take over the bans of a newer copy of the state folder or store", false},
	{"confirmed", NULL,
		"restore, with etcd: another control plane has run restore; this one takes that incarnation", false},
	{"to", "FILE", "keys export, backup: the new file", false},
	{"from", "FILE", "keys import: a file of keys export; restore: a file of backup", false},
	{"passphrase-file", "FILE", "with --to and --from: a file with the passphrase, at least 12 bytes", false},
	{"mounted", "FOLDER", "keys: where the Secret with the keys is mounted", false},
	{"adopt", NULL, "keys: accept keys that no record names, such as those of a backup in a new cluster", false}};
static const struct cli_program program = {.name = "handfast-control",
	.about = "Attests workloads, issues their certificates, and distributes addresses, identities and policy to "
		 "sidecars.\n"
		 "SIGHUP reads the settings again; SIGTERM ends it, a second one at once.",
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
	const struct restore_source from = {.backup = {.path = command_line_value(line, "from"),
						    .passphrase_file = command_line_value(line, "passphrase-file")},
		.bans_from = command_line_value(line, "bans-from"),
		.is_confirmed = command_line_has(line, "confirmed")};
	enum err err = control_restore(source, config, &from, &why);
	return err == ERR_NONE ? command_line_answer(line, "this state has a new incarnation; start the control plane")
			       : command_line_fail(line, err, &why);
}

static enum cli_exit keys(struct control_config *config, const struct command_line *line)
{
	struct why why = {0};
	const struct keys_source source = {
		.mounted = command_line_value(line, "mounted"), .adopts = command_line_has(line, "adopt")};
	enum err err = control_keys(config, &source, &why);
	control_config_free(config);
	return err == ERR_NONE ? command_line_answer(line, "the key folder is ready")
			       : command_line_fail(line, err, &why);
}

static enum cli_exit carry_keys(struct control_config *config, const struct command_line *line)
{
	struct why why = {0};
	bool exports = command_line_is(line, "keys export");
	const struct keys_file file = {.path = command_line_value(line, exports ? "to" : "from"),
		.passphrase_file = command_line_value(line, "passphrase-file")};
	enum err err = exports ? control_keys_export(config, &file, &why) : control_keys_import(config, &file, &why);
	control_config_free(config);
	return err == ERR_NONE
		       ? command_line_answer(line, exports ? "the keys are in the file" : "the key folder is ready")
		       : command_line_fail(line, err, &why);
}

static enum cli_exit backup(struct control_config *config, const struct command_line *line)
{
	struct why why = {0};
	const struct keys_file file = {
		.path = command_line_value(line, "to"), .passphrase_file = command_line_value(line, "passphrase-file")};
	enum err err = control_backup(config, &file, &why);
	control_config_free(config);
	return err == ERR_NONE ? command_line_answer(line, "keys and store are in the file")
			       : command_line_fail(line, err, &why);
}

/* Of the commands that start no process. False: the kernel cannot, and they handle the mesh's keys. */
static bool confine(struct why *why)
{
	return sandbox_close(why) == ERR_NONE && sandbox_enter(SANDBOX_CONTROL, why) == ERR_NONE;
}

static enum cli_exit run_confined(struct control_config *config, const struct command_line *line)
{
	struct why why = {0};
	if (!confine(&why)) {
		control_config_free(config);
		return command_line_fail(line, why.err, &why);
	}
	if (command_line_is(line, "keys"))
		return keys(config, line);
	return command_line_is(line, "backup") ? backup(config, line) : carry_keys(config, line);
}

static void need_flag(struct command_line *line, const char *flag, bool is_needed, const char *expected)
{
	char name[32];
	if (!is_needed || command_line_value(line, flag) != NULL)
		return;
	snprintf(name, sizeof name, "--%s", flag);
	command_line_error_text(line, name, expected, "it is missing");
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
	if (argc > 1 && strcmp(argv[1], RUNNER_COMMAND) == 0)
		return command_runner_main(argc, argv);
	log_open(program.name);
	if (!command_line_begin(&program, argc, argv, &line))
		return CLI_DONE;
	source.path = command_line_value(&line, "config");
	bool restores = command_line_is(&line, "restore");
	bool makes_keys = command_line_is(&line, "keys");
	need_flag(&line, "mounted", makes_keys, "the folder where the Secret with the keys is mounted");
	bool exports = command_line_is(&line, "keys export"), imports = command_line_is(&line, "keys import");
	bool backs_up = command_line_is(&line, "backup");
	bool has_from = command_line_value(&line, "from") != NULL,
	     has_passphrase = command_line_value(&line, "passphrase-file") != NULL;
	need_flag(&line, "to", exports || backs_up, "the new file");
	need_flag(&line, "from", imports || (restores && has_passphrase), "a sealed file");
	need_flag(&line, "passphrase-file", exports || backs_up || imports || (restores && has_from),
		"a file with the passphrase");
	if (!restores)
		hold_hangup();
	if (control_read_settings(&source, &line.errors, &config) != ERR_NONE)
		return (int)command_line_refuse(&line);
	if (!line.checks_only && restores)
		return (int)restore(&source, config, &line);
	if (!line.checks_only && (makes_keys || exports || imports || backs_up))
		return (int)run_confined(config, &line);
	if (!line.checks_only)
		return (int)serve(&source, config);
	control_config_free(config);
	return CLI_DONE;
}
