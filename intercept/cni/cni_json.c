#include "intercept/cni/cni_json.h"

static int append(const char *bytes, size_t len, void *out)
{
	return buf_append(out, span_of(bytes, len)) == ERR_NONE ? 0 : -1;
}

enum err cni_json_put_line(json_t *object, struct buf *out)
{
	if (object == NULL)
		return ERR_MALFORMED;
	int failed = json_dump_callback(object, append, out, JSON_COMPACT);
	json_decref(object);
	return failed != 0 ? ERR_LIMIT : buf_append_str(out, "\n");
}

enum err cni_json_put_indented(const json_t *object, struct buf *out)
{
	return json_dump_callback(object, append, out, JSON_INDENT(2)) != 0 ? ERR_LIMIT : buf_append_str(out, "\n");
}
