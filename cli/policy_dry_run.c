/* policy dry-run: what the dry-run rules of a sidecar would have decided otherwise. */
#include "cli/commands.h"
#include "cli/page.h"
#include "cli/policy_preview.h"
#include "cli/show.h"
#include <stdio.h>

static void print_row(const json_t *row)
{
	char rule[300], id[2400], source[80], time[64];
	const json_t *last = json_object_get(row, "last");
	printf("%s: would deny %lld connections, of which %lld were open", show_text(row, "rule", rule, sizeof rule),
		show_number(row, "denied"), show_number(row, "open"));
	if (show_number(row, "allowed") > 0)
		printf("; would allow %lld that are denied", show_number(row, "allowed"));
	putchar('\n');
	if (!json_is_object(last))
		return;
	show_text(last, "from", id, sizeof id);
	printf("    last %s: %s at %s to port %lld\n", show_text(last, "time", time, sizeof time),
		id[0] == '\0' ? "plaintext" : id, show_text(last, "source", source, sizeof source),
		show_number(last, "port"));
}

static enum cli_exit show_rules(struct command_line *line)
{
	_cleanup_(json_decrefp) json_t *page = NULL;
	struct why why = {0};
	enum err err = page_get(line, "/policy", &page, &why);
	const json_t *rows = json_object_get(page, "dry_runs");
	if (err == ERR_NONE && !json_is_array(rows))
		err = why_set(&why, ERR_UNAVAILABLE, "a sidecar of this release that has a policy",
			"see what it waits for: `handfast check`", "the sidecar has no policy yet");
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	long long num_forgotten = show_number(page, "num_dry_runs_forgotten");
	if (line->json) {
		show_json(json_pack("{s:O, s:I}", "dry_runs", rows, "num_forgotten", (json_int_t)num_forgotten));
		return CLI_DONE;
	}
	for (size_t i = 0; i < json_array_size(rows); i++)
		print_row(json_array_get(rows, i));
	if (json_array_size(rows) == 0)
		puts("no dry-run rules");
	if (num_forgotten > 0)
		printf("there are too many rules to count all: %lld times the counts of one were started again\n",
			num_forgotten);
	return CLI_DONE;
}

enum cli_exit command_policy_dry_run(struct command_line *line)
{
	return command_line_value(line, "file") == NULL ? show_rules(line) : policy_preview(line);
}
