#include "cli/refusal.h"

enum err refusal_read(enum err err, const char *message, struct why *why)
{
	if (why_parse(message, err, why))
		return err;
	return why_set(why, err, "the control plane to accept the command", "see the control plane's log",
		"the control plane refused: %s", message);
}

enum err refusal_unimplemented(const char *message, struct why *why)
{
	if (why_parse(message, ERR_REFUSED, why))
		return ERR_REFUSED;
	return why_set(why, ERR_REFUSED, "a control plane of this command's release or a later one",
		"upgrade the control plane; its release: `handfast status`",
		"the control plane's release has no such command (%s)", message);
}
