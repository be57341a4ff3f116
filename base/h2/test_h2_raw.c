#include "base/h2/test_h2_raw.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

int raw_setup(void **state)
{
	struct raw *raw = mem_new(struct raw);
	const struct h2_limits limits = {.max_streams = 1000};
	test_h2_end_init(&raw->server, H2_SERVER, &limits, 4 * 1024 * 1024);
	buf_init(&raw->bytes, 64 * 1024 * 1024);
	h2_raw_preface(&raw->bytes);
	*state = raw;
	return 0;
}

int raw_teardown(void **state)
{
	struct raw *raw = *state;
	test_h2_end_done(&raw->server);
	buf_done(&raw->bytes);
	mem_free(raw);
	return 0;
}

enum err raw_feed(struct raw *raw)
{
	buf_clear(&raw->server.out);
	return h2_raw_feed(&raw->server, &raw->bytes, &raw->detail);
}

void raw_expect_calm(struct raw *raw)
{
	assert_int_equal(raw_feed(raw), ERR_LIMIT);
	assert_int_equal(raw->detail.err, ERR_LIMIT);
	assert_int_equal(h2_raw_goaway(&raw->server.out), CALM);
	assert_true(h2_session_is_done(raw->server.session));
}

void raw_expect_goaway(struct raw *raw, uint32_t error)
{
	assert_int_equal(raw_feed(raw), ERR_PROTOCOL);
	assert_int_equal(raw->detail.err, ERR_PROTOCOL);
	assert_int_equal(h2_raw_goaway(&raw->server.out), error);
	assert_true(h2_session_is_done(raw->server.session));
}

void raw_add_reset_streams(struct raw *raw, int first, int num)
{
	static const uint8_t cancel[4] = {0, 0, 0, 8};
	for (int i = first; i < first + num; i++) {
		h2_raw_connect(&raw->bytes, i * 2 + 1, false);
		h2_raw_frame(&raw->bytes, RST_STREAM, 0, i * 2 + 1, span_of(cancel, 4));
	}
}
