#include "base/pb/unpack.h"

#include "proto/handfast/v1/discovery.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void round_trips_a_message(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf wire = BUF_INIT(1024);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *message;
	Handfast__V1__Network network = HANDFAST__V1__NETWORK__INIT;
	network.address = pb_bytes(SPAN_LITERAL("\xc0\x00\x02\x00"));
	network.prefix_len = 24;
	assert_int_equal(pb_pack(&network.base, &wire), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__network__descriptor, buf_span(&wire), &arena, &message, NULL), ERR_NONE);
	const Handfast__V1__Network *back = (const Handfast__V1__Network *)(const void *)message;
	assert_int_equal(back->prefix_len, 24);
	assert_true(span_eq(pb_span(back->address), SPAN_LITERAL("\xc0\x00\x02\x00")));
}

static void c4_refuses_malformed_messages(void **state)
{
	(void)state;
	static const struct span bad[] = {SPAN_LITERAL("\xff"), SPAN_LITERAL("\x0a\xff\xff\xff\xff\x0f"),
		SPAN_LITERAL("\x0a\x05\x61"), SPAN_LITERAL("\x08"), SPAN_LITERAL("\x07\x01"),
		SPAN_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pb_arena *arena = NULL;
		ProtobufCMessage *message;
		struct why why = {0};
		assert_int_equal(
			pb_unpack(&handfast__v1__answers__descriptor, bad[i], &arena, &message, &why), ERR_MALFORMED);
		assert_null(arena);
		assert_true(why.expected[0] != '\0');
	}
}

/* Half a million empty answers: two bytes per answer on the wire, a hundred in memory. */
static void c4_a_small_message_cannot_unpack_to_a_large_one(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf wire = BUF_INIT(2 * 1024 * 1024);
	struct pb_arena *arena = NULL;
	ProtobufCMessage *message;
	for (size_t i = 0; i < 500000; i++)
		assert_int_equal(buf_append(&wire, SPAN_LITERAL("\x0a\x00")), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__answers__descriptor, buf_span(&wire), &arena, &message, NULL), ERR_TOO_LARGE);
	assert_null(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips_a_message),
		cmocka_unit_test(c4_refuses_malformed_messages),
		cmocka_unit_test(c4_a_small_message_cannot_unpack_to_a_large_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
