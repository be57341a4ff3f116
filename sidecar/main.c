/* handfast-sidecar: the data plane beside one workload. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/version.h"
#include "base/net/fd.h"
#include "base/net/service_manager.h"
#include "base/sandbox/sandbox.h"
#include "base/settings/command_line/given.h"
#include "base/settings/command_line/program_settings.h"
#include "base/settings/settings_reload.h"
#include "sidecar/commands.h"
#include "sidecar/process.h"
#include "sidecar/running.h"
#include "sidecar/sidecar.h"
#include "sidecar/versions.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 60000

static const struct cli_command commands[] = {
#define COMMAND(words, arguments, help, function) {words, arguments, help},
#include "sidecar/commands.def"
#undef COMMAND
};
static const struct cli_flag flags[] = {
	{"config", "FILE", "the settings file, in YAML", false},
	{"take-over", NULL, "run: take the listening sockets over from the running sidecar, when this one can serve",
		false},
	{"timeout", "DURATION", "how long `wait`, `upgrade` and `run --take-over` wait (60s)", false},
	{"listening", NULL, "wait: only for open listeners and rules", false},
	{"write", "DIR", "svid: the folder of the files", false},
	{"command", "PROGRAM", "svid: run this program, without arguments, after each change", false},
	{"signal", "NAME", "svid: send this signal after each change, such as HUP", false},
	{"pid-file", "FILE", "svid: with --signal, the file with the ID of the process", false},
	{"once", NULL, "svid: end when the files are written, after 60 s at the latest", false},
	{"started", NULL, "wait: for open listeners and rules; for an identity at most 10 s", false},
};
static const struct cli_program program = {.name = "handfast-sidecar",
	.about = "Carries the TCP connections of a workload through mutually authenticated tunnels.\n"
		 "On SIGTERM it drains, and ends when no connection is open, after drain_minimum at the earliest and\n"
		 "drain_deadline at the latest; a second SIGTERM ends it at once. SIGHUP reads the settings again.",
	.commands = commands,
	.num_commands = sizeof(commands) / sizeof(*commands),
	.default_command = "run",
	.flags = flags,
	.num_flags = sizeof(flags) / sizeof(*flags),
	.settings = &sidecar_settings,
	.release = HANDFAST_VERSION,
	.put_versions = versions_put};

/* Appends one line per error to *errors; NULL: there are errors. is_sidecar: with all that a sidecar needs. */
static struct sidecar_config *read_config_as(const struct command_line *line, bool is_sidecar, struct buf *errors)
{
	_cleanup_(settings_freep) struct settings *settings = program_settings_read(line, environ);
	struct sidecar_config *config = NULL;
	if ((is_sidecar ? sidecar_config_read : sidecar_config_read_for_command)(settings, &config) == ERR_NONE)
		return config;
	settings_errors_put(settings, errors);
	return NULL;
}

static struct sidecar_config *read_config(const struct command_line *line, struct buf *errors)
{
	return read_config_as(line, command_line_is(line, "run") || command_line_is(line, "upgrade"), errors);
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

/* Blocks SIGHUP from before the settings are read until sidecar_run() handles it: a signal that arrives meanwhile
 * neither ends the process nor is lost. */
static void mask_hangup(void)
{
	sigset_t hangup;
	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, NULL);
}

/* A timeout of run is one of its --take-over; of the other commands it is their own. */
static void check_timeout(struct command_line *line)
{
	if (command_line_is(line, "run") && command_line_value(line, "timeout") != NULL &&
		!command_line_has(line, "take-over"))
		command_line_error_text(
			line, "--timeout", "--take-over together with it", "it is given without --take-over");
}

/* False: an error was added. */
static bool read_timeout(struct command_line *line, uint64_t *out_ms)
{
	const char *timeout = command_line_value(line, "timeout");
	*out_ms = WAIT_MS;
	bool is_one = timeout == NULL || duration_parse(span_of_str(timeout), out_ms) == ERR_NONE;
	bool is_limited = command_line_is(line, "upgrade") || command_line_has(line, "take-over");
	if (is_one && (!is_limited || *out_ms <= SIDECAR_TAKE_OVER_MAX_MS))
		return true;
	command_line_error(line, "--timeout",
		is_limited ? "a duration of 4m at most, such as 30s" : "a duration such as 500ms, 30s or 5m", timeout);
	return false;
}

/* Read besides the variables of settings (sidecar/config_source.c). */
static const char *const other_variables[] = {"SPIFFE_ENDPOINT_SOCKET", NULL};

/* Adopts config. */
static enum cli_exit run_with(
	struct sidecar_options *options, const struct command_line *line, struct sidecar_config *config)
{
	_cleanup_(buf_done) struct buf given = BUF_INIT(GIVEN_MAX);
	struct sidecar *sidecar;
	struct why why = {0};
	enum err err = service_manager_is_there() ? buf_append(&given, RUNNING_OF_UNIT)
						  : given_encode(line, other_variables, &given);
	if (err != ERR_NONE)
		buf_clear(&given); /* too long to be handed over: an upgrade by hand is refused */
	options->given = buf_span(&given);
	err = process_harden(&why);
	if (err != ERR_NONE)
		sidecar_config_free(config);
	else
		err = sidecar_new(options, config, &sidecar, &why);
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "sidecar", "cannot start", &why);
		return cli_exit_of(err);
	}
	err = sidecar_run(sidecar);
	sidecar_free(sidecar);
	return err == ERR_NONE ? CLI_DONE : cli_exit_of(err);
}

static enum cli_exit run(struct command_line *line, struct sidecar_config *config)
{
	struct sidecar_options options = {.release = HANDFAST_VERSION,
		.settings_file = command_line_value(line, "config"),
		.on_reload = on_reload,
		.takes_over = command_line_has(line, "take-over"),
		.arg = line};
	if (read_timeout(line, &options.take_over_ms))
		return run_with(&options, line, config);
	sidecar_config_free(config);
	return command_line_refuse(line);
}

/* --- upgrade by hand: with what the running sidecar was given, but for what is given here --- */

/* Of the settings only the admin socket is known by now: what is missing may be the running sidecar's. NULL: they are
 * wrong, which read_config() reports. */
static char *admin_socket_of(const struct command_line *line)
{
	_cleanup_(buf_done) struct buf errors = BUF_INIT(CLI_ERRORS_MAX);
	log_set_level(LOG_LEVEL_ERROR); /* warnings are logged when all is known */
	struct sidecar_config *config = read_config_as(line, false, &errors);
	log_set_level(LOG_LEVEL_NOTICE);
	char *path = config == NULL ? NULL : TAKE_PTR(config->admin_socket);
	if (config != NULL)
		sidecar_config_free(config);
	return path;
}

static enum err take_given(struct command_line *line, struct given *given, struct why *why)
{
	bool begins = command_line_is(line, "upgrade") && !line->checks_only && buf_len(&line->errors) == 0;
	_cleanup_(mem_freep) char *path = begins ? admin_socket_of(line) : NULL;
	if (path == NULL)
		return ERR_NONE;
	RETURN_IF_ERR(running_given(path, &given->bytes, why));
	if (buf_len(&given->bytes) == 0) /* of a unit, which has it */
		return ERR_NONE;
	if (given_take(given, other_variables, line) == ERR_NONE)
		return ERR_NONE;
	return why_set(why, ERR_MALFORMED, "a running sidecar that hands over its settings",
		"restart it instead, if its release has no command upgrade", "it answered with something else");
}

/* --- upgrade: the sidecar in a process of its own, and this one waits until it serves --- */

struct upgrade {
	struct command_line *line;
	int result; /* the end of a pipe for one byte: it serves */
};

static struct sidecar_config *on_upgraded_reload(void *arg)
{
	const struct upgrade *upgrade = arg;
	return on_reload(upgrade->line);
}

static void on_serving(void *arg)
{
	struct upgrade *upgrade = arg;
	(void)!write(upgrade->result, "1", 1);
	fd_close(upgrade->result);
	upgrade->result = -1;
}

static enum cli_exit run_upgraded(struct command_line *line, struct sidecar_config *config, int result)
{
	struct upgrade upgrade = {.line = line, .result = result};
	struct sidecar_options options = {.release = HANDFAST_VERSION,
		.settings_file = command_line_value(line, "config"),
		.on_reload = on_upgraded_reload,
		.takes_over = true,
		.uses_its_output = true,
		.on_serving = on_serving,
		.arg = &upgrade};
	(void)setsid(); /* a terminal that closes does not end it */
	CHECK(read_timeout(line, &options.take_over_ms));
	return run_with(&options, line, config);
}

/* Commands go on without, where the kernel or a container's profile refuses the filter. */
static void confine(enum sandbox_role role)
{
	struct why why = {0};
	if (sandbox_close(&why) != ERR_NONE || sandbox_enter(role, &why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, "sidecar", "running without a system call filter", &why);
}

static enum cli_exit wait_for_upgraded(
	const struct command_line *line, const struct sidecar_config *config, pid_t pid, int result)
{
	struct why why = {0};
	char served = 0;
	int status = 0;
	ssize_t got;
	confine(SANDBOX_AGENT);
	do
		got = read(result, &served, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		return command_upgraded(line, config);
	bool has_exited = waitpid(pid, &status, 0) == pid && WIFEXITED(status);
	(void)why_set(&why, ERR_UNAVAILABLE, "a new process that serves",
		"see the lines above, or the log of the running sidecar, where the new one writes",
		"the new process has ended with %s %d; the running sidecar continues to serve",
		has_exited ? "exit code" : "signal", has_exited ? WEXITSTATUS(status) : WTERMSIG(status));
	return command_line_fail(line, ERR_UNAVAILABLE, &why);
}

static enum cli_exit upgrade(struct command_line *line, struct sidecar_config *config)
{
	int ends[2];
	struct why why = {0};
	uint64_t timeout_ms;
	if (!read_timeout(line, &timeout_ms)) {
		sidecar_config_free(config);
		return command_line_refuse(line);
	}
	mask_hangup();
	pid_t pid = pipe2(ends, O_CLOEXEC) != 0 ? -1 : fork();
	if (pid == 0) {
		fd_close(ends[0]);
		return run_upgraded(line, config, ends[1]);
	}
	if (pid < 0) {
		sidecar_config_free(config);
		return command_line_fail(line,
			why_set(&why, err_from_errno(errno), "room for a process", "see `ulimit -u`",
				"cannot fork: %m"),
			&why);
	}
	fd_close(ends[1]);
	enum cli_exit code = wait_for_upgraded(line, config, pid, ends[0]);
	fd_close(ends[0]);
	sidecar_config_free(config);
	return code;
}

static enum cli_exit wait_until_ready(struct command_line *line, struct sidecar_config *config)
{
	uint64_t timeout_ms;
	confine(SANDBOX_COMMAND);
	enum cli_exit code =
		!read_timeout(line, &timeout_ms) ? command_line_refuse(line) : command_wait(line, config, timeout_ms);
	sidecar_config_free(config);
	return code;
}

static enum cli_exit send_command(struct command_line *line, struct sidecar_config *config)
{
	confine(SANDBOX_COMMAND);
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

/* Nothing of the caller of `upgrade` stays with the new process: locks, pipes, standard input. Before anything is open.
 */
static void leave_caller(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "upgrade") != 0)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		(void)dup2(null, STDIN_FILENO);
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
}

int main(int argc, char **argv)
{
	_cleanup_(given_done) struct given given = {.bytes = BUF_INIT(GIVEN_MAX)};
	_cleanup_(command_line_done) struct command_line line;
	struct why why = {0};
	leave_caller(argc, argv);
	log_open(program.name);
	if (!command_line_begin(&program, argc, argv, &line))
		return CLI_DONE;
	if (command_line_is(&line, "run"))
		mask_hangup();
	check_timeout(&line);
	enum err err = buf_len(&line.errors) > 0 ? ERR_NONE : take_given(&line, &given, &why);
	if (err != ERR_NONE)
		return (int)command_line_fail(&line, err == ERR_DENIED ? err : ERR_UNAVAILABLE, &why);
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
