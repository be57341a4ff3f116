/* handfast-sidecar: the data plane beside one workload. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/version.h"
#include "sidecar/commands.h"
#include "sidecar/process.h"
#include "sidecar/sidecar.h"
#include "sidecar/versions.h"
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum { WAIT_MS = 60000 };

static const char usage[] =
	"usage: handfast-sidecar [run] [--config FILE] [--KEY=VALUE ...]\n"
	"       handfast-sidecar wait [--timeout=60s] [...]    until the sidecar is ready\n"
	"       handfast-sidecar drain [...]    not ready, GOAWAY to peers; serves on, and never ends by itself\n"
	"       handfast-sidecar quit [...]     the running sidecar ends at once\n"
	"       handfast-sidecar release [...]  the mesh forgets our addresses\n"
	"       handfast-sidecar --version | --help\n"
	"\n"
	"Every key of the settings file is also HANDFAST_SIDECAR_KEY in the environment (dots are underscores) and\n"
	"--KEY: a flag beats the environment beats the file; an empty variable counts as not set. --keys lists them.\n"
	"\n"
	"Signals: SIGTERM drains and ends when nothing is open, after drain_minimum at the earliest and drain_deadline "
	"at\n"
	"         the latest; a second one ends at once; SIGHUP reads the settings again.\n"
	"Exit: 0 done; 64 usage or settings; 69 a port is taken, or nobody answers; 74 state cannot be read or "
	"written;\n"
	"      75 not ready in time; 77 a file or folder is not safe; 78 the stored state is damaged.\n";

struct command_line {
	const char *command, *config;
	uint64_t timeout_ms;
	int argc;
	char **argv;
};

static int print_keys(void)
{
	for (const char *const *key = sidecar_config_keys; *key != NULL; key++)
		puts(*key);
	return EX_OK;
}

static bool is_command(const char *word)
{
	static const char *const commands[] = {"run", "wait", "drain", "quit", "release"};
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(word, commands[i]) == 0)
			return true;
	return false;
}

/* "--name=value" or "--name value"; NULL: another flag. */
static const char *value_of(const char *name, int argc, char *const *argv, int *index)
{
	size_t len = strlen(name);
	if (argv[*index] == NULL || strncmp(argv[*index], name, len) != 0)
		return NULL;
	if (argv[*index][len] == '=')
		return argv[*index] + len + 1;
	if (argv[*index][len] != '\0' || *index + 1 >= argc)
		return NULL;
	return argv[++*index];
}

static bool read_own_flag(struct command_line *line, int *index)
{
	const char *value = value_of("--config", line->argc, line->argv, index);
	if (value != NULL) {
		line->config = value;
		return true;
	}
	value = value_of("--timeout", line->argc, line->argv, index);
	return value != NULL && duration_parse(span_of_str(value), &line->timeout_ms) == ERR_NONE;
}

/* Our own flags come first, whatever their place: the file must be read before the settings' flags overlay it. */
static bool read_line(struct command_line *line, struct settings *settings, bool overlays)
{
	int at = line->argc > 1 && is_command(line->argv[1]) ? 2 : 1;
	line->command = at == 2 ? line->argv[1] : "run";
	while (at < line->argc) {
		int before = at;
		if (read_own_flag(line, &at)) {
			at++;
			continue;
		}
		if (!settings_read_flag(settings, sidecar_config_keys, line->argc, line->argv, &at)) {
			if (overlays)
				fprintf(stderr, "handfast-sidecar: %s is no flag; see --help\n", line->argv[before]);
			return false;
		}
	}
	return true;
}

static struct sidecar_config *read_config(const struct command_line *line)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new("HANDFAST_SIDECAR");
	struct command_line again = *line;
	struct sidecar_config *config = NULL;
	if (line->config != NULL)
		settings_read_file(settings, line->config);
	settings_read_former_environment(settings, "HANDFAST", sidecar_config_keys, environ);
	settings_read_environment(settings, sidecar_config_keys, environ);
	if (!read_line(&again, settings, true))
		return NULL;
	log_lines(LOG_LEVEL_WARNING, "settings", settings_warnings(settings));
	if (sidecar_config_read(settings, &config) == ERR_NONE)
		return config;
	log_lines(LOG_LEVEL_ERROR, "settings", settings_mistakes(settings));
	return NULL;
}

static struct sidecar_config *on_reload(void *arg)
{
	struct sidecar_config *config = read_config(arg);
	if (config == NULL)
		log_error("sidecar", "the settings are wrong; the ones before stay");
	return config;
}

static int exit_code(enum err err)
{
	if (err == ERR_STATE_DAMAGED)
		return EX_CONFIG;
	if (err == ERR_CONFIG || err == ERR_MALFORMED)
		return EX_USAGE;
	if (err == ERR_DENIED)
		return EX_NOPERM;
	return err == ERR_SYSTEM || err == ERR_EXISTS || err == ERR_UNAVAILABLE ? EX_UNAVAILABLE : EX_IOERR;
}

static int run(struct command_line *line, struct sidecar_config *config)
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
		return exit_code(err);
	}
	sidecar_run(sidecar);
	sidecar_free(sidecar);
	return EX_OK;
}

static int obey(struct command_line *line)
{
	struct sidecar_config *config = read_config(line);
	if (config == NULL)
		return EX_USAGE;
	log_set_level((enum log_level)config->log_level);
	log_set_json(config->log_json);
	if (strcmp(line->command, "run") == 0)
		return run(line, config);
	int code = strcmp(line->command, "wait") == 0 ? command_wait(config, line->timeout_ms)
						      : command_tell(config, line->command);
	sidecar_config_free(config);
	return code;
}

int main(int argc, char **argv)
{
	struct command_line line = {.argc = argc, .argv = argv, .timeout_ms = WAIT_MS};
	log_open("handfast-sidecar");
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return fputs(usage, stdout) < 0 ? EX_IOERR : EX_OK;
		if (strcmp(argv[i], "--version") == 0)
			return versions_show();
		if (strcmp(argv[i], "--keys") == 0)
			return print_keys();
	}
	_cleanup_(settings_freep) struct settings *scratch = settings_new("HANDFAST_SIDECAR");
	(void)read_line(&line, scratch, false); /* finds the command and --config */
	return obey(&line);
}
