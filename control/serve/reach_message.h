/* Reach, for the files that make operator messages. Pure. */
#pragma once

#include "control/serve/operator_messages.h"
#include "proto/handfast/v1/operator.pb-c.h"

/* NULL: it is not known. Else out, which the message borrows. */
static inline Handfast__V1__Reach *reach_fill(const struct reach *reach, Handfast__V1__Reach *out)
{
	if (!reach->is_known)
		return NULL;
	handfast__v1__reach__init(out);
	out->num_connected = reach->num_connected;
	out->num_acknowledged = reach->num_acknowledged;
	return out;
}
