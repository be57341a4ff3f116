#include "cli/show.h"
#include <jansson.h>
#include <stdio.h>
#include <time.h>

static int exit_of(enum err err)
{
	if (err == ERR_UNAVAILABLE)
		return CLI_UNAVAILABLE;
	if (err == ERR_CONFIG)
		return CLI_USAGE;
	return err == ERR_DENIED ? CLI_DENIED : CLI_REFUSED;
}

int show_failure(const struct cli_options *options, enum err err, const struct why *why)
{
	char text[700];
	why_format(why, text, sizeof text);
	if (!options->json) {
		fprintf(stderr, "handfast: %s\n", text);
		return exit_of(err);
	}
	json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "error", err_label(err), "expected", why->expected, "got",
		why->got, "fix", why->fix);
	if (object != NULL)
		json_dumpf(object, stdout, JSON_INDENT(2));
	json_decref(object);
	putchar('\n');
	return exit_of(err);
}

void show_time(int64_t ms, char out[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	if (ms == 0 || gmtime_r(&seconds, &parts) == NULL)
		snprintf(out, 32, "-");
	else
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}
