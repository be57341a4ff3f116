/* handfast-sidecar svid --write DIR */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/sandbox/sandbox.h"
#include "sidecar/commands.h"
#include "sidecar/svid/svid_follow.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ONCE_MS = 60000 };

/* SPIFFE Workload Endpoint 4: unix:///absolute/path; NULL: another kind, or none. */
static const char *socket_of_environment(void)
{
	static const char scheme[] = "unix://";
	const char *address = getenv("SPIFFE_ENDPOINT_SOCKET");
	if (address == NULL || strncmp(address, scheme, sizeof(scheme) - 1) != 0 || address[sizeof(scheme) - 1] != '/')
		return NULL;
	return address + sizeof(scheme) - 1;
}

static bool is_folder(const char *path)
{
	struct stat stat_of;
	return stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
}

static void read_notice(struct command_line *line, struct svid_notice_spec *out)
{
	const char *signal = command_line_value(line, "signal");
	*out = (struct svid_notice_spec){
		.program = command_line_value(line, "command"), .pid_file = command_line_value(line, "pid-file")};
	if (signal != NULL && (out->signal = svid_signal_parse(signal)) == 0)
		command_line_error(line, "--signal", "HUP, INT, QUIT, TERM, USR1, USR2 or WINCH", signal);
	if ((signal == NULL) != (out->pid_file == NULL))
		command_line_error_text(
			line, "--signal", "both --signal and --pid-file, or neither", "one of them is missing");
	if (out->program != NULL && out->program[0] != '/')
		command_line_error(line, "--command", "the absolute path of a program", out->program);
}

/* Where the kernel or a container's profile refuses the filter, it goes on without. */
static void confine(void)
{
	struct why why = {0};
	if (sandbox_close(&why) != ERR_NONE || sandbox_enter(SANDBOX_NOTIFIER, &why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, "svid", "running without a system call filter", &why);
}

enum cli_exit command_svid(struct command_line *line, const struct sidecar_config *config)
{
	struct why why = {0};
	struct svid_follow_options options = {.socket = config->workload_socket,
		.folder = command_line_value(line, "write"),
		.is_once = command_line_has(line, "once"),
		.once_ms = ONCE_MS,
		.on_forked = confine};
	read_notice(line, &options.notice);
	if (options.socket == NULL)
		options.socket = socket_of_environment();
	if (options.folder == NULL)
		command_line_error_text(line, "--write", "a folder for the files", "no folder is given");
	else if (!is_folder(options.folder))
		command_line_error(line, "--write", "a folder that exists", options.folder);
	if (options.socket == NULL)
		command_line_error_text(line, "workload_api.socket",
			"the sidecar's socket in its settings, or SPIFFE_ENDPOINT_SOCKET=unix:///path",
			"no socket is given");
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	enum err err = svid_follow(&options, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	return command_line_answer(line, options.is_once ? "written" : "ended");
}
