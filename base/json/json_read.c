#include "base/json/json_read.h"

#include "base/core/mem.h"
#include <string.h>

enum { ESCAPE = 6 }; /* bytes of \u0000 and of \ufffd */

static const char nul[] = "\\u0000", replacement[] = "\\ufffd";

static bool has_nul(struct span text)
{
	return text.len >= ESCAPE && memmem(text.ptr, text.len, nul, ESCAPE) != NULL;
}

/* A backslash begins an escape, and stands in strings alone: that of "\\u0000" is one byte further. */
static void replace(char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (text[i] != '\\')
			continue;
		if (len - i >= ESCAPE && memcmp(text + i, nul, ESCAPE) == 0)
			memcpy(text + i, replacement, ESCAPE);
		i++; /* what is escaped, perhaps a backslash */
	}
}

json_t *json_read(struct span text, json_error_t *out_error)
{
	if (!has_nul(text))
		return json_loadb((const char *)text.ptr, text.len, 0, out_error);
	_cleanup_(mem_freep) char *copy = mem_alloc(text.len);
	memcpy(copy, text.ptr, text.len);
	replace(copy, text.len);
	return json_loadb(copy, text.len, 0, out_error);
}
