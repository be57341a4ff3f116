#include "cli/confine.h"

#include "base/sandbox/sandbox.h"
#include <stdbool.h>

static bool is_due;

void confine_once(void)
{
	is_due = true;
}

void confine(void)
{
	struct why why = {0};
	if (is_due) /* a filter allows no further one; and a container's profile may forbid it */
		is_due = sandbox_enter(SANDBOX_COMMAND, &why) != ERR_NONE;
}
