#include "intercept/cni/cni_json.h"
#include "base/json/json_put.h"

enum err cni_json_put_line(json_t *object, struct buf *out)
{
	enum err err = buf_append_json(out, object, JSON_COMPACT);
	json_decref(object);
	return err != ERR_NONE ? err : buf_append_str(out, "\n");
}

enum err cni_json_put_indented(const json_t *object, struct buf *out)
{
	RETURN_IF_ERR(buf_append_json(out, object, JSON_INDENT(2)));
	return buf_append_str(out, "\n");
}
