#include "base/json/json_put.h"

static int append(const char *bytes, size_t len, void *out)
{
	return buf_append(out, span_of(bytes, len)) == ERR_NONE ? 0 : -1;
}

enum err buf_append_json(struct buf *out, const json_t *value, size_t flags)
{
	if (value == NULL)
		return ERR_MALFORMED;
	return json_dump_callback(value, append, out, flags) == 0 ? ERR_NONE : ERR_LIMIT;
}
