#include "control/rotate/bootstrap_state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

static void put(struct buf *out, const char *text)
{
	assert_int_equal(buf_append_str(out, text), ERR_NONE);
}

static void a_state_is_read_as_it_was_written(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(BOOTSTRAP_STATE_MAX);
	_cleanup_(bootstrap_state_done) struct bootstrap_state in, out;
	bootstrap_state_init(&in);
	bootstrap_state_init(&out);
	in.phase = BOOTSTRAP_OVERLAP;
	in.began_s = 5;
	in.phase_s = 6;
	in.is_forced = true;
	in.number = 7;
	put(&in.active, "active");
	put(&in.active_sealed, "sealed");
	put(&in.former, "former");
	put(&in.cross, "cross");
	assert_int_equal(bootstrap_state_encode(&in, &record), ERR_NONE);
	assert_int_equal(bootstrap_state_parse(buf_span(&record), &out), ERR_NONE);
	assert_int_equal(out.phase, BOOTSTRAP_OVERLAP);
	assert_true(out.began_s == 5 && out.phase_s == 6 && out.is_forced && out.number == 7);
	assert_true(span_eq(buf_span(&out.active), SPAN_LITERAL("active")));
	assert_true(span_eq(buf_span(&out.active_sealed), SPAN_LITERAL("sealed")));
	assert_true(span_eq(buf_span(&out.former), SPAN_LITERAL("former")));
	assert_true(span_eq(buf_span(&out.cross), SPAN_LITERAL("cross")));
	assert_int_equal(buf_len(&out.next), 0);
}

static void C44_a_damaged_state_is_refused(_unused_ void **state)
{
	static const char *const damaged[] = {"", "phase=none\nactive=00\n", "phase=other\n", "phase=publishing\n",
		"phase=publishing\nnext=00\nnext_sealed_key=0\ncross=00\n",
		"phase=publishing\nnext=00\nnext_sealed_key=00\ncross=00\nformer=00\n",
		"phase=overlap\nactive=00\nactive_sealed_key=00\ncross=00\n", "phase=overlap\nformer=00\ncross=00\n",
		"phase=none\nactive=00\nactive_sealed_key=00\nformer=00\n", "phase=none\nnext=00\n"};
	_cleanup_(bootstrap_state_done) struct bootstrap_state out;
	bootstrap_state_init(&out);
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
		assert_int_equal(bootstrap_state_parse(span_of_str(damaged[i]), &out), ERR_STATE_DAMAGED);
	assert_int_equal(bootstrap_state_parse(SPAN_LITERAL("phase=none\n"), &out), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_is_read_as_it_was_written),
		cmocka_unit_test(C44_a_damaged_state_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
