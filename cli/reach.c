#include "cli/reach.h"
#include <stdbool.h>
#include <stdio.h>

const char *reach_text(const Handfast__V1__Reach *reach, char *out, size_t cap)
{
	out[0] = '\0';
	if (reach == NULL)
		return out;
	bool is_everywhere = reach->num_acknowledged >= reach->num_connected;
	snprintf(out, cap, "; in force at %u of %u connected sidecars%s", reach->num_acknowledged, reach->num_connected,
		is_everywhere
			? ""
			: " so far: it is stored, and the others get it, too (a revocation: those of release 0.1 once "
			  "they are upgraded); see `handfast status`");
	return out;
}

void reach_put_json(const Handfast__V1__Reach *reach, json_t *object)
{
	if (reach == NULL)
		return;
	json_object_set_new(object, "connected_sidecars", json_integer(reach->num_connected));
	json_object_set_new(object, "acknowledged", json_integer(reach->num_acknowledged));
}
