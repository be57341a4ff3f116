#include "cli/confine.h"

#include "base/sandbox/sandbox.h"

static bool is_due;

void confine_once(void)
{
	is_due = true;
}

void confine(void)
{
	struct why why = {0};
	if (is_due) /* a filter allows no further one; and a container's profile may forbid it */
		is_due = sandbox_close(&why) != ERR_NONE || sandbox_enter(SANDBOX_COMMAND, &why) != ERR_NONE;
}

bool confine_is_due(void)
{
	return is_due;
}

void confine_parent(void)
{
	struct why why = {0};
	_unused_
	enum err err = sandbox_enter(SANDBOX_PARENT, &why);
}
