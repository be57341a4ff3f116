#include "base/rpc/rpc_frame.h"
#include "base/core/check.h"

void rpc_frame_reader_init(struct rpc_frame_reader *reader, uint32_t message_max)
{
	*reader = (struct rpc_frame_reader){.message_max = message_max};
	buf_init(&reader->partial, message_max);
}

void rpc_frame_reader_done(struct rpc_frame_reader *reader)
{
	buf_done(&reader->partial);
}

static struct span take(struct span *in, size_t len)
{
	len = len < in->len ? len : in->len;
	struct span part = span_of(in->ptr, len);
	*in = span_from(*in, len);
	return part;
}

static enum err read_prefix(struct rpc_frame_reader *reader, struct span *in)
{
	CHECK(reader->prefix_len < RPC_FRAME_PREFIX_LEN);
	struct span part = take(in, (size_t)(RPC_FRAME_PREFIX_LEN - reader->prefix_len));
	if (part.len > 0)
		memcpy(reader->prefix + reader->prefix_len, part.ptr, part.len);
	reader->prefix_len = (uint8_t)(reader->prefix_len + part.len);
	if (reader->prefix_len < RPC_FRAME_PREFIX_LEN)
		return ERR_NONE;
	const uint8_t *prefix = reader->prefix;
	reader->message_len =
		(uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 | prefix[4];
	if (prefix[0] > 1)
		return ERR_MALFORMED;
	if (reader->message_len > reader->message_max)
		return ERR_TOO_LARGE;
	return prefix[0] == 1 ? ERR_UNSUPPORTED : ERR_NONE;
}

enum err rpc_frame_next(
	struct rpc_frame_reader *reader, struct span *in, bool *out_has_message, struct span *out_message)
{
	*out_has_message = false;
	if (reader->prefix_len == 0)
		buf_done(&reader->partial); /* releases the previous message */
	if (reader->prefix_len < RPC_FRAME_PREFIX_LEN)
		RETURN_IF_ERR(read_prefix(reader, in));
	if (reader->prefix_len < RPC_FRAME_PREFIX_LEN)
		return ERR_NONE;
	CHECK(buf_len(&reader->partial) <= reader->message_len); /* else its rest would be negative */
	struct span part = take(in, reader->message_len - buf_len(&reader->partial));
	if (part.len == reader->message_len) { /* in one piece: no copy */
		*out_message = part;
	} else {
		RETURN_IF_ERR(buf_append(&reader->partial, part));
		if (buf_len(&reader->partial) < reader->message_len)
			return ERR_NONE;
		*out_message = buf_span(&reader->partial);
	}
	*out_has_message = true;
	reader->prefix_len = 0;
	return ERR_NONE;
}

bool rpc_frame_is_between(const struct rpc_frame_reader *reader)
{
	return reader->prefix_len == 0;
}

void rpc_frame_prefix(uint32_t message_len, uint8_t out[RPC_FRAME_PREFIX_LEN])
{
	out[0] = 0;
	out[1] = (uint8_t)(message_len >> 24);
	out[2] = (uint8_t)(message_len >> 16);
	out[3] = (uint8_t)(message_len >> 8);
	out[4] = (uint8_t)message_len;
}
