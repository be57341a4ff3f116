#include "base/core/check.h"
#include "base/http/http_answer.h"
#include "base/http/websocket.h"
#include "test/fuzz/fuzz.h"

static void on_message(void *arg, enum websocket_opcode opcode, struct span bytes)
{
	size_t *total = arg;
	CHECK(opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY || opcode == WEBSOCKET_PING);
	CHECK(bytes.len <= WEBSOCKET_MESSAGE_MAX);
	*total += bytes.len;
}

static void answer(struct span bytes, bool is_end)
{
	struct http_answer answer;
	if (http_answer_read(bytes, is_end, &answer) == ERR_NONE) {
		CHECK(answer.head.len + answer.body.len <= bytes.len && answer.status <= 999);
		CHECK(http_answer_header(&answer, "Upgrade").len < answer.head.len);
	}
}

/* The answer to an upgrade, and the frames behind it. The first byte is the size of the pieces in which frames arrive.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct websocket websocket;
	size_t total = 0;
	if (len == 0)
		return 0;
	size_t piece = (size_t)bytes[0] + 1;
	enum err err = ERR_NONE;
	answer(span_of(bytes + 1, len - 1), false);
	answer(span_of(bytes + 1, len - 1), true);
	websocket_init(&websocket);
	for (size_t at = 1; at < len && err == ERR_NONE; at += piece) {
		struct why why = {0};
		err = websocket_feed(
			&websocket, span_of(bytes + at, len - at < piece ? len - at : piece), on_message, &total, &why);
		CHECK(err == ERR_NONE || why.got[0] != '\0');
	}
	CHECK(total < len);
	websocket_done(&websocket);
	return 0;
}
