/* handfast-sidecar: the data plane beside one workload. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/version.h"
#include "base/settings/command_line/program_settings.h"
#include "base/settings/settings_reload.h"
#include "sidecar/commands.h"
#include "sidecar/process.h"
#include "sidecar/sidecar.h"
#include "sidecar/versions.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 60000

static const struct cli_command commands[] = {
#define COMMAND(words, arguments, help, function) {words, arguments, help},
#include "sidecar/commands.def"
#undef COMMAND
};
static const struct cli_flag flags[] = {
	{"config", "FILE", "settings, YAML", false},
	{"timeout", "DURATION", "of `handfast-sidecar wait` (60s)", false},
	{"listening", NULL, "wait: for open listeners and rules alone", false},
	{"write", "DIR", "svid: the folder of the files", false},
	{"command", "PROGRAM", "svid: run this program, without arguments, after each change", false},
	{"signal", "NAME", "svid: send this signal after each change, such as HUP", false},
	{"pid-file", "FILE", "svid: with --signal, the file with the number of the process", false},
	{"once", NULL, "svid: end when the files are written, after 60 s at the latest", false},
	{"started", NULL, "wait: for open listeners and rules; for an identity at most 10 s", false},
};
static const struct cli_program program = {.name = "handfast-sidecar",
	.about =
		"Carries the TCP connections of a workload through mutually authenticated tunnels.\n"
		"SIGTERM drains and ends when nothing is open, after drain_minimum at the earliest and drain_deadline\n"
		"at the latest; a second one ends at once. SIGHUP reads the settings again.",
	.commands = commands,
	.num_commands = sizeof(commands) / sizeof(*commands),
	.default_command = "run",
	.flags = flags,
	.num_flags = sizeof(flags) / sizeof(*flags),
	.settings = &sidecar_settings,
	.release = HANDFAST_VERSION,
	.put_versions = versions_put};

/* Appends one line per error to *errors; NULL: there are errors. */
static struct sidecar_config *read_config(const struct command_line *line, struct buf *errors)
{
	_cleanup_(settings_freep) struct settings *settings = program_settings_read(line, environ);
	struct sidecar_config *config = NULL;
	bool is_sidecar = command_line_is(line, "run");
	if ((is_sidecar ? sidecar_config_read : sidecar_config_read_for_command)(settings, &config) == ERR_NONE)
		return config;
	settings_errors_put(settings, errors);
	return NULL;
}

static struct sidecar_config *on_reload(void *arg)
{
	_cleanup_(buf_done) struct buf errors = BUF_INIT(CLI_ERRORS_MAX);
	struct sidecar_config *config = read_config(arg, &errors);
	if (config != NULL)
		return config;
	settings_reload_roll_back("sidecar", buf_cstr(&errors));
	return NULL;
}

/* Adopts config. */
static enum cli_exit run(struct command_line *line, struct sidecar_config *config)
{
	struct sidecar_options options = {.release = HANDFAST_VERSION, .on_reload = on_reload, .arg = line};
	struct sidecar *sidecar;
	struct why why = {0};
	enum err err = process_harden(&why);
	if (err != ERR_NONE)
		sidecar_config_free(config);
	else
		err = sidecar_new(&options, config, &sidecar, &why);
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "sidecar", "cannot start", &why);
		return cli_exit_of(err);
	}
	sidecar_run(sidecar);
	sidecar_free(sidecar);
	return CLI_DONE;
}

static enum cli_exit wait_until_ready(struct command_line *line, struct sidecar_config *config)
{
	uint64_t timeout_ms = WAIT_MS;
	const char *timeout = command_line_value(line, "timeout");
	if (timeout != NULL && duration_parse(span_of_str(timeout), &timeout_ms) != ERR_NONE)
		command_line_error(line, "--timeout", "a duration such as 500ms, 30s or 5m", timeout);
	enum cli_exit code =
		buf_len(&line->errors) > 0 ? command_line_refuse(line) : command_wait(line, config, timeout_ms);
	sidecar_config_free(config);
	return code;
}

static enum cli_exit send_command(struct command_line *line, struct sidecar_config *config)
{
	enum cli_exit code = command_send(line, config);
	sidecar_config_free(config);
	return code;
}

static enum cli_exit write_svid(struct command_line *line, struct sidecar_config *config)
{
	enum cli_exit code = command_svid(line, config);
	sidecar_config_free(config);
	return code;
}

static enum cli_exit do_command(struct command_line *line, struct sidecar_config *config)
{
	static enum cli_exit (*const functions[])(struct command_line *, struct sidecar_config *) = {
#define COMMAND(words, arguments, help, function) function,
#include "sidecar/commands.def"
#undef COMMAND
	};
	return functions[line->command - commands](line, config);
}

/* Blocks SIGHUP from before the settings are read until sidecar_run() handles it: a signal that arrives meanwhile
 * neither ends the process nor is lost. */
static void mask_hangup(void)
{
	sigset_t hangup;
	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, NULL);
}

int main(int argc, char **argv)
{
	_cleanup_(command_line_done) struct command_line line;
	log_open(program.name);
	if (!command_line_begin(&program, argc, argv, &line))
		return CLI_DONE;
	if (command_line_is(&line, "run"))
		mask_hangup();
	struct sidecar_config *config = read_config(&line, &line.errors);
	bool is_wrong = buf_len(&line.errors) > 0;
	if (config != NULL && (is_wrong || line.checks_only))
		sidecar_config_free(config);
	if (is_wrong)
		return (int)command_line_refuse(&line);
	if (line.checks_only)
		return CLI_DONE;
	CHECK(config != NULL); /* else an error was added to line.errors */
	log_set_level((enum log_level)config->log_level);
	log_set_json(config->log_json);
	return (int)do_command(&line, config);
}
