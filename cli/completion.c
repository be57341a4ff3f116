/* completion: the same as --completion, under the name that other programs have made usual. */
#include "base/core/buf.h"
#include "cli/commands.h"
#include <stdio.h>

#define SCRIPT_MAX (1024u * 1024)

enum cli_exit command_completion(struct command_line *line)
{
	_cleanup_(buf_done) struct buf script = BUF_INIT(SCRIPT_MAX);
	const char *shell = command_argument(line, "one of bash, zsh and fish");
	if (shell != NULL && command_line_completion(line->program, shell, &script) != ERR_NONE)
		command_line_error(line, "completion", "bash, zsh or fish, or completion values NAME", shell);
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	(void)fwrite(buf_span(&script).ptr, 1, buf_len(&script), stdout);
	return CLI_DONE;
}
