#include "base/core/mem.h"
#include "base/http/websocket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct seen {
	struct buf text; /* each message as "OPCODE:bytes;" */
};

static void on_message(void *arg, enum websocket_opcode opcode, struct span bytes)
{
	struct seen *seen = arg;
	assert_int_equal(
		buf_printf(&seen->text, "%d:%.*s;", (int)opcode, (int)bytes.len, (const char *)bytes.ptr), ERR_NONE);
}

/* In pieces of every length, the result is the same. */
static enum err feed(struct span bytes, size_t piece, struct seen *seen, struct why *why)
{
	struct websocket websocket;
	enum err err = ERR_NONE;
	websocket_init(&websocket);
	buf_init(&seen->text, 4096);
	for (size_t at = 0; at < bytes.len && err == ERR_NONE; at += piece)
		err = websocket_feed(&websocket,
			span_of(bytes.ptr + at, bytes.len - at < piece ? bytes.len - at : piece), on_message, seen,
			why);
	websocket_done(&websocket);
	return err;
}

static void messages_come_whole(void **state)
{
	static const char bytes[] = "\x02\x02"
				    "he\x89\x01!\x00\x01l\x80\x02lo\x81\x01t\x82\x7e\x00\x03xyz\x8a\x00";
	(void)state;
	for (size_t piece = 1; piece < sizeof bytes; piece++) {
		struct seen seen;
		struct why why = {0};
		assert_int_equal(feed(span_of(bytes, sizeof bytes - 1), piece, &seen, &why), ERR_NONE);
		assert_string_equal(buf_cstr(&seen.text), "9:!;2:hello;1:t;2:xyz;");
		buf_done(&seen.text);
	}
}

static void the_servers_reason_to_close_is_kept(void **state)
{
	struct seen seen;
	struct why why = {0};
	(void)state;
	assert_int_equal(feed(SPAN_LITERAL("\x88\x05\x03\xe8off"), 7, &seen, &why), ERR_CLOSED);
	assert_string_equal(why.got, "the server closed it with 1000: off");
	assert_int_equal(feed(SPAN_LITERAL("\x88\x00"), 2, &seen, &why), ERR_CLOSED);
	assert_string_equal(why.got, "the server closed it with 1005");
}

static void what_breaks_the_protocol_is_refused(void **state)
{
	static const struct {
		struct span bytes;
		enum err err;
	} rows[] = {
		{SPAN_LITERAL("\xc2\x00"), ERR_PROTOCOL},         /* an extension's bit */
		{SPAN_LITERAL("\x83\x00"), ERR_PROTOCOL},         /* opcode 3 */
		{SPAN_LITERAL("\x8b\x00"), ERR_PROTOCOL},         /* opcode 11 */
		{SPAN_LITERAL("\x82\x80"), ERR_PROTOCOL},         /* masked */
		{SPAN_LITERAL("\x09\x00"), ERR_PROTOCOL},         /* a ping in pieces */
		{SPAN_LITERAL("\x89\x7e"), ERR_PROTOCOL},         /* a long ping */
		{SPAN_LITERAL("\x80\x00"), ERR_PROTOCOL},         /* continues nothing */
		{SPAN_LITERAL("\x02\x00\x82\x00"), ERR_PROTOCOL}, /* begins within another */
		{SPAN_LITERAL("\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x01"), ERR_TOO_LARGE},
		{SPAN_LITERAL("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_TOO_LARGE},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct seen seen;
		struct why why = {0};
		assert_int_equal(feed(rows[i].bytes, rows[i].bytes.len, &seen, &why), rows[i].err);
		assert_true(why.got[0] != '\0');
		buf_done(&seen.text);
	}
}

static void frames_of_a_message_are_bounded_together(void **state)
{
	enum { LEN = 600 * 1024 };
	uint8_t *bytes = mem_calloc(1, LEN + 10);
	struct websocket websocket;
	struct why why = {0};
	(void)state;
	websocket_init(&websocket);
	memcpy(bytes, "\x02\x7f\x00\x00\x00\x00\x00\x09\x60\x00", 10);
	assert_int_equal(websocket_feed(&websocket, span_of(bytes, LEN + 10), on_message, NULL, &why), ERR_NONE);
	bytes[0] = 0x80;
	assert_int_equal(websocket_feed(&websocket, span_of(bytes, LEN + 10), on_message, NULL, &why), ERR_TOO_LARGE);
	websocket_done(&websocket);
	mem_free(bytes);
}

static void a_frame_of_ours_is_masked(void **state)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	static const uint8_t expected[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
	_cleanup_(buf_done) struct buf out = BUF_INIT(100000);
	uint8_t *large = mem_calloc(1, 70000);
	(void)state;
	assert_int_equal(websocket_put(WEBSOCKET_TEXT, SPAN_LITERAL("Hello"), mask, &out), ERR_NONE); /* RFC 6455 5.7 */
	assert_true(span_eq(buf_span(&out), span_of(expected, sizeof expected)));
	buf_clear(&out);
	assert_int_equal(websocket_put(WEBSOCKET_BINARY, span_of(large, 300), mask, &out), ERR_NONE);
	assert_memory_equal(buf_span(&out).ptr, "\x82\xfe\x01\x2c", 4);
	buf_clear(&out);
	assert_int_equal(websocket_put(WEBSOCKET_BINARY, span_of(large, 70000), mask, &out), ERR_NONE);
	assert_memory_equal(buf_span(&out).ptr, "\x82\xff\x00\x00\x00\x00\x00\x01\x11\x70", 10);
	assert_int_equal(websocket_put(WEBSOCKET_BINARY, span_of(large, 70000), mask, &out), ERR_LIMIT);
	mem_free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_whole),
		cmocka_unit_test(the_servers_reason_to_close_is_kept),
		cmocka_unit_test(what_breaks_the_protocol_is_refused),
		cmocka_unit_test(frames_of_a_message_are_bounded_together),
		cmocka_unit_test(a_frame_of_ours_is_masked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
