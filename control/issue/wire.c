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

static enum err put_numbers(struct buf *out, const struct wire_request *request)
{
	RETURN_IF_ERR(put_fixed(out, &request->kind, sizeof request->kind));
	RETURN_IF_ERR(put_fixed(out, &request->id, sizeof request->id));
	RETURN_IF_ERR(put_fixed(out, &request->epoch, sizeof request->epoch));
	RETURN_IF_ERR(put_fixed(out, &request->incarnation, sizeof request->incarnation));
	RETURN_IF_ERR(put_fixed(out, &request->revision, sizeof request->revision));
	RETURN_IF_ERR(put_fixed(out, &request->ttl_s, sizeof request->ttl_s));
	return put_fixed(out, &request->above, sizeof request->above);
}

enum err wire_request_encode(const struct wire_request *request, struct buf *out)
{
	RETURN_IF_ERR(put_numbers(out, request));
	const struct span spans[] = {request->spiffe_id, request->spki, request->certificate, request->sealed,
		request->sha256, request->audience, request->cross, request->former};
	for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
		RETURN_IF_ERR(put_span(out, spans[i]));
	return ERR_NONE;
}

static enum err get_numbers(struct span *in, struct wire_request *out)
{
	RETURN_IF_ERR(get_fixed(in, &out->kind, sizeof out->kind));
	RETURN_IF_ERR(get_fixed(in, &out->id, sizeof out->id));
	RETURN_IF_ERR(get_fixed(in, &out->epoch, sizeof out->epoch));
	RETURN_IF_ERR(get_fixed(in, &out->incarnation, sizeof out->incarnation));
	RETURN_IF_ERR(get_fixed(in, &out->revision, sizeof out->revision));
	RETURN_IF_ERR(get_fixed(in, &out->ttl_s, sizeof out->ttl_s));
	return get_fixed(in, &out->above, sizeof out->above);
}

enum err wire_request_parse(struct span bytes, struct wire_request *out)
{
	struct wire_request request = {0};
	RETURN_IF_ERR(get_numbers(&bytes, &request));
	struct span *const spans[] = {&request.spiffe_id, &request.spki, &request.certificate, &request.sealed,
		&request.sha256, &request.audience, &request.cross, &request.former};
	for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
		RETURN_IF_ERR(get_span(&bytes, spans[i]));
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
	return put_span(out, answer->sealed);
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
	RETURN_IF_ERR(get_span(&bytes, &answer.sealed));
	if (bytes.len != 0)
		return ERR_MALFORMED;
	*out = answer;
	return ERR_NONE;
}
