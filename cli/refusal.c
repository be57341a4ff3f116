#include "cli/refusal.h"

#include <stdio.h>
#include <string.h>

enum err refusal_read(enum err err, const char *message, struct why *why)
{
	char expected[sizeof why->expected], got[sizeof why->got];
	const char *start = strncmp(message, "expected ", 9) == 0 ? message + 9 : NULL;
	const char *middle = start == NULL ? NULL : strstr(start, ", got ");
	const char *end = middle == NULL ? NULL : strstr(middle, "; ");
	if (end == NULL)
		return why_set(why, err, "the control plane to do it", "see its log", "%s", message);
	snprintf(expected, sizeof expected, "%.*s", (int)(middle - start), start);
	snprintf(got, sizeof got, "%.*s", (int)(end - middle - 6), middle + 6);
	return why_set(why, err, expected, end + 2, "%s", got);
}
