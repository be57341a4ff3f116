#include "control/issue/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void a_request_decodes_as_it_was_encoded(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(WIRE_MAX);
	struct wire_request out, in = {.kind = WIRE_LEAF,
					 .id = 7,
					 .epoch = 9,
					 .incarnation = 3,
					 .revision = 4,
					 .ttl_s = -5,
					 .spiffe_id = SPAN_LITERAL("spiffe://td/a"),
					 .spki = SPAN_LITERAL("key"),
					 .certificate = SPAN_LITERAL("root"),
					 .sealed = SPAN_LITERAL("s"),
					 .sha256 = SPAN_LITERAL("hash")};
	assert_int_equal(wire_request_encode(&in, &buf), ERR_NONE);
	assert_int_equal(wire_request_parse(buf_span(&buf), &out), ERR_NONE);
	assert_true(out.kind == WIRE_LEAF && out.id == 7 && out.epoch == 9 && out.ttl_s == -5);
	assert_true(out.incarnation == 3 && out.revision == 4);
	assert_true(span_eq(out.spiffe_id, in.spiffe_id) && span_eq(out.spki, in.spki));
	assert_true(span_eq(out.certificate, in.certificate) && span_eq(out.sealed, in.sealed));
	assert_true(span_eq(out.sha256, in.sha256));
}

static void every_shorter_or_longer_message_is_refused(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(WIRE_MAX);
	struct wire_answer in = {.id = 1, .text = SPAN_LITERAL("t"), .num_certs = 1, .certs = {SPAN_LITERAL("c")}}, out;
	assert_int_equal(wire_answer_encode(&in, &buf), ERR_NONE);
	assert_int_equal(wire_answer_parse(buf_span(&buf), &out), ERR_NONE);
	for (size_t len = 0; len < buf_len(&buf); len++)
		assert_int_not_equal(wire_answer_parse(span_of(buf_span(&buf).ptr, len), &out), ERR_NONE);
	assert_int_equal(buf_append_str(&buf, "x"), ERR_NONE);
	assert_int_equal(wire_answer_parse(buf_span(&buf), &out), ERR_MALFORMED);
}

/* err_text() of such a number would abort. */
static void an_answer_with_an_error_that_does_not_exist_is_refused(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(WIRE_MAX);
	struct wire_answer in = {.id = 1, .err = 100000}, out;
	assert_int_equal(wire_answer_encode(&in, &buf), ERR_NONE);
	assert_int_equal(wire_answer_parse(buf_span(&buf), &out), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_decodes_as_it_was_encoded),
		cmocka_unit_test(every_shorter_or_longer_message_is_refused),
		cmocka_unit_test(an_answer_with_an_error_that_does_not_exist_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
