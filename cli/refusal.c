#include "cli/refusal.h"

enum err refusal_read(enum err err, const char *message, struct why *why)
{
	if (why_parse(message, err, why))
		return err;
	return why_set(why, err, "the control plane to accept the command", "see the control plane's log",
		"the control plane refused: %s", message);
}
