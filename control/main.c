/* handfast-control: the control plane. */
#include "base/core/log.h"
#include "base/core/version.h"
#include "control/control.h"
#include "control/issue/signer.h"
#include "control/versions.h"
#include <stdio.h>
#include <string.h>

extern char **environ;

enum exit_code { EXIT_FINE = 0, EXIT_CONFIG = 64, EXIT_DAMAGED = 65, EXIT_UNAVAILABLE = 69, EXIT_FAULT = 70 };

static const char help[] =
	"usage: handfast-control [--config FILE] [--KEY VALUE]...\n"
	"\n"
	"Attests workloads, issues their certificates, and tells sidecars who is where and what is allowed.\n"
	"Every key of the file is also a flag (--mesh.networks 10.0.0.0/8) and an environment variable\n"
	"(HANDFAST_CONTROL_MESH_NETWORKS); a flag beats the environment, the environment beats the file; an empty\n"
	"variable counts as not set.\n"
	"SIGHUP reads the settings again; SIGTERM stops.\n"
	"\n"
	"  --config FILE  settings, YAML\n"
	"  --check        read the settings, report every mistake, and end\n"
	"  --version      this release and the libraries inside\n"
	"  --help\n"
	"\n"
	"exit codes: 0 stopped as asked, 64 wrong settings, 65 the state is damaged (nothing was overwritten),\n"
	"69 something it needs is taken or away, 70 a fault\n"
	"\n"
	"keys:\n";

static int show_help(void)
{
	fputs(help, stdout);
	for (const char *const *key = control_config_keys; *key != NULL; key++)
		printf("  %s\n", *key);
	return EXIT_FINE;
}

static int exit_code(enum err err)
{
	if (err == ERR_NONE)
		return EXIT_FINE;
	if (err == ERR_CONFIG)
		return EXIT_CONFIG;
	if (err == ERR_STATE_DAMAGED)
		return EXIT_DAMAGED;
	return err == ERR_EXISTS || err == ERR_UNAVAILABLE || err == ERR_IO || err == ERR_UNSUPPORTED ? EXIT_UNAVAILABLE
												      : EXIT_FAULT;
}

static int serve(const struct control_source *source, bool checks_only)
{
	struct control_config *config;
	_cleanup_(control_freep) struct control *control = NULL;
	struct why why = {0};
	enum err err = control_read_settings(source, &config);
	if (err != ERR_NONE)
		return exit_code(err);
	if (checks_only) {
		control_config_free(config);
		return EXIT_FINE;
	}
	log_set_level((enum log_level)config->log_level);
	log_set_json(config->log_json);
	err = control_new(source, config, HANDFAST_VERSION, &control, &why);
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "control", "cannot start", &why);
		return exit_code(err);
	}
	return exit_code(control_run(control));
}

/* True: argv[*i] is one of main's own. */
static bool read_own_flag(int argc, char **argv, int *i, struct control_source *source, bool *checks_only)
{
	if (strcmp(argv[*i], "--check") == 0)
		*checks_only = true;
	else if (strncmp(argv[*i], "--config=", 9) == 0)
		source->path = argv[*i] + 9;
	else if (strcmp(argv[*i], "--config") == 0 && *i + 1 < argc)
		source->path = argv[++*i];
	else
		return false;
	++*i;
	return true;
}

static int refuse_flag(const char *flag)
{
	fprintf(stderr, "%s: expected a flag of handfast-control; see --help\n", flag);
	return EXIT_CONFIG;
}

int main(int argc, char **argv)
{
	struct control_source source = {.argc = argc, .argv = argv, .environment = environ};
	bool checks_only = false;
	if (argc > 1 && strcmp(argv[1], SIGNER_WORD) == 0)
		return signer_main(argc, argv);
	log_open("handfast-control");
	_cleanup_(settings_freep) struct settings *flags = settings_new("HANDFAST_CONTROL");
	for (int i = 1; i < argc;) {
		if (strcmp(argv[i], "--help") == 0)
			return show_help();
		if (strcmp(argv[i], "--version") == 0)
			return versions_show();
		if (!read_own_flag(argc, argv, &i, &source, &checks_only) &&
			!settings_read_flag(flags, control_config_keys, argc, argv, &i))
			return refuse_flag(argv[i]);
	}
	return serve(&source, checks_only);
}
