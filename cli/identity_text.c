#include "cli/identity_text.h"
#include "cli/commands.h"
#include <stdio.h>

void identity_read(struct command_line *line, const char *what, const char *text, struct spiffe_id *out)
{
	_cleanup_(spiffe_id_done) struct spiffe_id unused = {0};
	struct why why = {0};
	if (spiffe_id_parse(span_of_str(text), out != NULL ? out : &unused, &why) != ERR_NONE)
		command_line_error(line, what, why.expected, text);
}

const char *identity_argument(struct command_line *line, const char *command, const char *alternative)
{
	const char *id = command_argument(line, "one identity, spiffe://TD/PATH");
	_cleanup_(spiffe_id_done) struct spiffe_id unused = {0};
	struct why why = {0};
	char expected[200];
	if (id != NULL && spiffe_id_parse(span_of_str(id), &unused, &why) != ERR_NONE) {
		snprintf(expected, sizeof expected, "%s%s", why.expected, alternative);
		command_line_error(line, command, expected, id);
	}
	return buf_len(&line->errors) > 0 ? NULL : id;
}
