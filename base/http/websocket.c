#include "base/http/websocket.h"
#include "base/core/check.h"

enum { FINAL = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LEN = 0x7f, LEN_16 = 126, LEN_64 = 127 };

struct frame {
	bool is_final;
	enum websocket_opcode opcode;
	struct span bytes;
	size_t len; /* of all of it */
};

void websocket_init(struct websocket *websocket)
{
	*websocket = (struct websocket){
		.in = BUF_INIT(2 * WEBSOCKET_MESSAGE_MAX), .message = BUF_INIT(WEBSOCKET_MESSAGE_MAX)};
}

void websocket_done(struct websocket *websocket)
{
	buf_done(&websocket->in);
	buf_done(&websocket->message);
}

static enum err bad(struct why *why, const char *got)
{
	return why_set(why, ERR_PROTOCOL, "frames of WebSocket (RFC 6455)",
		"check the network, and any proxy, between here and the API server", "%s", got);
}

static bool is_control(enum websocket_opcode opcode)
{
	return opcode >= WEBSOCKET_CLOSE;
}

static enum err check_first(const uint8_t *ptr, struct why *why)
{
	unsigned opcode = ptr[0] & OPCODE;
	if ((ptr[0] & RESERVED) != 0)
		return bad(why, "a frame has a bit of an extension, and none was agreed");
	if ((opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE) || opcode > WEBSOCKET_PONG)
		return bad(why, "a frame has an unknown opcode");
	if ((ptr[1] & MASKED) != 0)
		return bad(why, "a frame of the server is masked"); /* RFC 6455 5.1 */
	if (is_control(opcode) && ((ptr[0] & FINAL) == 0 || (ptr[1] & LEN) > 125))
		return bad(why, "a control frame is in pieces or long"); /* RFC 6455 5.5 */
	return ERR_NONE;
}

/* ERR_UNAVAILABLE: more has to come. */
static enum err read_frame(struct span in, struct frame *out, struct why *why)
{
	uint64_t len;
	size_t head = 2;
	if (in.len < head)
		return ERR_UNAVAILABLE;
	RETURN_IF_ERR(check_first(in.ptr, why));
	len = in.ptr[1] & LEN;
	if (len >= LEN_16) {
		head += len == LEN_16 ? 2 : 8;
		if (in.len < head)
			return ERR_UNAVAILABLE;
		len = 0;
		for (size_t i = 2; i < head; i++)
			len = len << 8 | in.ptr[i];
	}
	if (len > WEBSOCKET_MESSAGE_MAX)
		return why_set(why, ERR_TOO_LARGE, "messages of at most 1 MiB", "report this bug",
			"a frame of the server has %llu bytes", (unsigned long long)len);
	if (in.len < head + len)
		return ERR_UNAVAILABLE;
	*out = (struct frame){(in.ptr[0] & FINAL) != 0, (enum websocket_opcode)(in.ptr[0] & OPCODE),
		span_of(in.ptr + head, (size_t)len), head + (size_t)len};
	return ERR_NONE;
}

static enum err read_close(struct span bytes, struct why *why)
{
	unsigned code = bytes.len >= 2 ? (unsigned)bytes.ptr[0] << 8 | bytes.ptr[1] : 1005; /* RFC 6455 7.4.1 */
	struct span reason = bytes.len >= 2 ? span_from(bytes, 2) : (struct span){0};
	return why_set(why, ERR_CLOSED, "an open connection", "reconnect; the server's log has more",
		"the server closed it with %u%s%.*s", code, reason.len > 0 ? ": " : "", (int)reason.len,
		reason.len > 0 ? (const char *)reason.ptr : "");
}

static enum err take_data(struct websocket *websocket, const struct frame *frame, websocket_message_fn *on_message,
	void *arg, struct why *why)
{
	bool continues = frame->opcode == WEBSOCKET_CONTINUATION;
	if (continues != (websocket->opcode != WEBSOCKET_CONTINUATION))
		return bad(why, continues ? "a frame continues no message" : "a message begins within another");
	if (!continues)
		websocket->opcode = frame->opcode;
	if (buf_append(&websocket->message, frame->bytes) != ERR_NONE)
		return why_set(why, ERR_TOO_LARGE, "messages of at most 1 MiB", "report this bug",
			"a message of the server is longer");
	if (!frame->is_final)
		return ERR_NONE;
	on_message(arg, websocket->opcode, buf_span(&websocket->message));
	websocket->opcode = WEBSOCKET_CONTINUATION;
	buf_clear(&websocket->message);
	return ERR_NONE;
}

static enum err take_frame(struct websocket *websocket, const struct frame *frame, websocket_message_fn *on_message,
	void *arg, struct why *why)
{
	switch (frame->opcode) {
	case WEBSOCKET_CONTINUATION:
	case WEBSOCKET_TEXT:
	case WEBSOCKET_BINARY:
		return take_data(websocket, frame, on_message, arg, why);
	case WEBSOCKET_CLOSE:
		return read_close(frame->bytes, why);
	case WEBSOCKET_PING:
		on_message(arg, WEBSOCKET_PING, frame->bytes);
		return ERR_NONE;
	case WEBSOCKET_PONG:
		return ERR_NONE;
	}
	CHECK_UNREACHABLE();
}

enum err websocket_feed(
	struct websocket *websocket, struct span bytes, websocket_message_fn *on_message, void *arg, struct why *why)
{
	struct frame frame = {0};
	enum err err;
	if (buf_append(&websocket->in, bytes) != ERR_NONE)
		return bad(why, "more bytes came than a frame may have");
	while ((err = read_frame(buf_span(&websocket->in), &frame, why)) == ERR_NONE) {
		RETURN_IF_ERR(take_frame(websocket, &frame, on_message, arg, why));
		buf_consume(&websocket->in, frame.len);
	}
	return err == ERR_UNAVAILABLE ? ERR_NONE : err;
}

enum err websocket_put(enum websocket_opcode opcode, struct span message, const uint8_t mask[4], struct buf *out)
{
	uint8_t head[14] = {(uint8_t)(FINAL | opcode)}, *room;
	size_t num = message.len < LEN_16 ? 0 : message.len <= UINT16_MAX ? 2 : 8, at = 2;
	head[1] = (uint8_t)(MASKED | (num == 0 ? message.len : num == 2 ? LEN_16 : LEN_64));
	for (size_t i = 0; i < num; i++)
		head[at++] = (uint8_t)((uint64_t)message.len >> (8 * (num - 1 - i)));
	memcpy(head + at, mask, 4);
	at += 4;
	RETURN_IF_ERR(buf_reserve(out, at + message.len, &room));
	memcpy(room, head, at);
	for (size_t i = 0; i < message.len; i++)
		room[at + i] = message.ptr[i] ^ mask[i % 4];
	buf_commit(out, at + message.len);
	return ERR_NONE;
}
