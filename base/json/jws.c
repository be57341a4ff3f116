#include "base/json/jws.h"
#include "base/core/base64url.h"
#include "base/core/check.h"

bool jws_split(struct span token, struct jws *out)
{
	struct span parts[3], rest = token;
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *dot = rest.len == 0 ? NULL : memchr(rest.ptr, '.', rest.len);
		if ((dot == NULL) != (i == 2))
			return false;
		parts[i] = span_of(rest.ptr, dot == NULL ? rest.len : (size_t)(dot - rest.ptr));
		if (parts[i].len == 0)
			return false;
		if (dot != NULL)
			rest = span_from(rest, parts[i].len + 1);
	}
	struct span signed_part = span_of(token.ptr, parts[0].len + 1 + parts[1].len);
	CHECK(parts[1].ptr + parts[1].len == signed_part.ptr + signed_part.len);
	*out = (struct jws){parts[0], parts[1], parts[2], signed_part};
	return true;
}

json_t *jws_object(struct span part, size_t max)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(max);
	if (base64url_decode(part, &text) != ERR_NONE || buf_len(&text) == 0)
		return NULL;
	json_t *object = json_loadb((const char *)buf_span(&text).ptr, buf_len(&text), JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(object))
		return object;
	json_decref(object);
	return NULL;
}
