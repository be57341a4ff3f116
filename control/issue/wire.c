#include "control/issue/wire.h"
#include "base/core/check.h"

static enum err put_fixed(struct buf *out, const void *value, size_t len)
{
	return buf_append(out, span_of(value, len));
}

static enum err put_span(struct buf *out, struct span bytes)
{
	uint32_t len = (uint32_t)bytes.len;
	if (bytes.len > WIRE_MAX)
		return ERR_TOO_LARGE;
	RETURN_IF_ERR(put_fixed(out, &len, sizeof len));
	return buf_append(out, bytes);
}

static enum err get_fixed(struct span *in, void *out, size_t len)
{
	if (in->len < len)
		return ERR_TRUNCATED;
	memcpy(out, in->ptr, len);
	*in = span_from(*in, len);
	return ERR_NONE;
}

static enum err get_span(struct span *in, struct span *out)
{
	uint32_t len;
	RETURN_IF_ERR(get_fixed(in, &len, sizeof len));
	if (in->len < len)
		return ERR_TRUNCATED;
	*out = span_of(in->ptr, len);
	*in = span_from(*in, len);
	return ERR_NONE;
}

enum err wire_request_encode(const struct wire_request *request, struct buf *out)
{
	RETURN_IF_ERR(put_fixed(out, &request->kind, sizeof request->kind));
	RETURN_IF_ERR(put_fixed(out, &request->id, sizeof request->id));
	RETURN_IF_ERR(put_fixed(out, &request->epoch, sizeof request->epoch));
	RETURN_IF_ERR(put_fixed(out, &request->incarnation, sizeof request->incarnation));
	RETURN_IF_ERR(put_fixed(out, &request->revision, sizeof request->revision));
	RETURN_IF_ERR(put_fixed(out, &request->ttl_s, sizeof request->ttl_s));
	RETURN_IF_ERR(put_span(out, request->spiffe_id));
	return put_span(out, request->spki);
}

static enum err get_numbers(struct span *in, struct wire_request *out)
{
	RETURN_IF_ERR(get_fixed(in, &out->kind, sizeof out->kind));
	RETURN_IF_ERR(get_fixed(in, &out->id, sizeof out->id));
	RETURN_IF_ERR(get_fixed(in, &out->epoch, sizeof out->epoch));
	RETURN_IF_ERR(get_fixed(in, &out->incarnation, sizeof out->incarnation));
	RETURN_IF_ERR(get_fixed(in, &out->revision, sizeof out->revision));
	return get_fixed(in, &out->ttl_s, sizeof out->ttl_s);
}

enum err wire_request_parse(struct span bytes, struct wire_request *out)
{
	struct wire_request request = {0};
	RETURN_IF_ERR(get_numbers(&bytes, &request));
	RETURN_IF_ERR(get_span(&bytes, &request.spiffe_id));
	RETURN_IF_ERR(get_span(&bytes, &request.spki));
	if (bytes.len != 0)
		return ERR_MALFORMED;
	*out = request;
	return ERR_NONE;
}

enum err wire_answer_encode(const struct wire_answer *answer, struct buf *out)
{
	CHECK(answer->num_certs <= WIRE_CERTS_MAX);
	RETURN_IF_ERR(put_fixed(out, &answer->id, sizeof answer->id));
	RETURN_IF_ERR(put_fixed(out, &answer->err, sizeof answer->err));
	RETURN_IF_ERR(put_span(out, answer->text));
	RETURN_IF_ERR(put_fixed(out, &answer->num_certs, sizeof answer->num_certs));
	for (uint32_t i = 0; i < answer->num_certs; i++)
		RETURN_IF_ERR(put_span(out, answer->certs[i]));
	return ERR_NONE;
}

enum err wire_answer_parse(struct span bytes, struct wire_answer *out)
{
	struct wire_answer answer = {0};
	RETURN_IF_ERR(get_fixed(&bytes, &answer.id, sizeof answer.id));
	RETURN_IF_ERR(get_fixed(&bytes, &answer.err, sizeof answer.err));
	RETURN_IF_ERR(get_span(&bytes, &answer.text));
	RETURN_IF_ERR(get_fixed(&bytes, &answer.num_certs, sizeof answer.num_certs));
	if (answer.num_certs > WIRE_CERTS_MAX || !err_is_known(answer.err))
		return ERR_MALFORMED;
	for (uint32_t i = 0; i < answer.num_certs; i++)
		RETURN_IF_ERR(get_span(&bytes, &answer.certs[i]));
	if (bytes.len != 0)
		return ERR_MALFORMED;
	*out = answer;
	return ERR_NONE;
}
