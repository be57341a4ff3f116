/* handfast: the operator's command line. */
#include "base/core/loop.h"
#include "base/core/mem.h"
#include "base/core/version.h"
#include "base/h2/h2_session.h"
#include "base/pb/unpack.h"
#include "base/tls/tls_context.h"
#include "cli/commands.h"
#include "cli/options.h"
#include <jansson.h>
#include <stdio.h>
#include <yaml.h>

static const char help[] = "usage: handfast COMMAND [flags]\n"
			   "\n"
			   "To the control plane on this machine (--socket, default /run/handfast/control.sock):\n"
			   "  token create --id spiffe://TD/PATH [--ttl 1h] [--network CIDR]...\n"
			   "                      a join token for one sidecar, on stdout\n"
			   "  status              what it knows: sidecars, addresses, authorities\n"
			   "  ban spiffe://...    this identity is refused from now on, whatever it shows\n"
			   "  entry release IP    ends the claim of an address\n"
			   "\n"
			   "To the sidecar on this machine (--admin, default 127.0.0.1:15000):\n"
			   "  certs               its certificates\n"
			   "  check               what is well and what is not\n"
			   "\n"
			   "flags: --output text|json, --help, --version\n"
			   "\n"
			   "exit codes: 0 done, 1 refused or the check found something, 64 wrong usage, 69 nobody "
			   "answers, 77 not allowed\n";

struct command {
	const char *first, *second; /* second NULL: one word */
	int (*run)(const struct cli_options *options);
};
static const struct command commands[] = {
	{"token", "create", command_token_create},
	{"status", NULL, command_status},
	{"ban", NULL, command_ban},
	{"entry", "release", command_entry_release},
	{"certs", NULL, command_certs},
	{"check", NULL, command_check},
};

static int show_versions(void)
{
	printf("handfast %s\n%s\nnghttp2 %s\nprotobuf-c %s\nlibev %d.%d\njansson %s\nlibyaml %s\n", HANDFAST_VERSION,
		tls_library_version(), h2_library_version(), protobuf_c_version(), ev_version_major(),
		ev_version_minor(), jansson_version_str(), yaml_get_version_string());
	return CLI_FINE;
}

static bool is_command(const struct command *command, const struct command_line *line)
{
	unsigned num = command->second == NULL ? 1 : 2;
	return line->num_words >= num && strcmp(line->words[0], command->first) == 0 &&
	       (num == 1 || strcmp(line->words[1], command->second) == 0);
}

static int run(struct command_line *line)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (!is_command(&commands[i], line))
			continue;
		unsigned num = commands[i].second == NULL ? 1 : 2;
		line->options.words = line->words + num;
		line->options.num_words = line->num_words - num;
		return commands[i].run(&line->options);
	}
	fputs(help, stderr);
	return CLI_USAGE;
}

int main(int argc, char **argv)
{
	struct command_line line;
	struct why why = {0};
	enum err err = command_line_parse(argc, argv, &line, &why);
	if (err != ERR_NONE)
		return show_failure(&line.options, err, &why);
	if (line.wants_version)
		return show_versions();
	if (line.wants_help) {
		fputs(help, stdout);
		return CLI_FINE;
	}
	return run(&line);
}
