#include "control/rotate/rotation_state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void a_state_is_read_as_it_was_written(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(4096);
	struct rotation_state out, in = {.phase = ROTATION_REISSUING,
					   .active = {1, 2},
					   .other = {3, 4},
					   .began_s = 5,
					   .phase_s = 6,
					   .is_forced = true,
					   .number = 7};
	assert_int_equal(rotation_state_encode(&in, &record), ERR_NONE);
	assert_int_equal(rotation_state_parse(buf_span(&record), &out), ERR_NONE);
	assert_int_equal(out.phase, ROTATION_REISSUING);
	assert_memory_equal(out.active, in.active, DIGEST_LEN);
	assert_memory_equal(out.other, in.other, DIGEST_LEN);
	assert_true(out.began_s == 5 && out.phase_s == 6 && out.is_forced && out.number == 7);
}

static void a_damaged_state_is_refused(_unused_ void **state)
{
	static const char *const damaged[] = {
		"", "phase=none\n", "phase=other\n", "phase=none\nactive_sha256=00\nother_sha256=00\n"};
	struct rotation_state out;
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
		assert_int_equal(rotation_state_parse(span_of_str(damaged[i]), &out), ERR_STATE_DAMAGED);
}

static void a_root_is_read_only_under_its_own_name(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(4096);
	_cleanup_(rotation_root_done) struct rotation_root in = {BUF_INIT(64), BUF_INIT(64), 9, 8}, out = {0};
	uint8_t digest[DIGEST_LEN];
	char key[ROTATION_ROOT_KEY_LEN];
	assert_int_equal(buf_append_str(&in.certificate, "certificate"), ERR_NONE);
	assert_int_equal(buf_append_str(&in.sealed, "sealed"), ERR_NONE);
	digest_sha256(SPAN_LITERAL("certificate"), digest);
	rotation_root_key(digest, key);
	assert_int_equal(rotation_root_encode(&in, &record), ERR_NONE);
	assert_int_equal(rotation_root_parse(key, buf_span(&record), &out), ERR_NONE);
	assert_true(span_eq(buf_span(&out.certificate), SPAN_LITERAL("certificate")));
	assert_true(span_eq(buf_span(&out.sealed), SPAN_LITERAL("sealed")));
	assert_int_equal(out.retired_s, 9);
	assert_int_equal(out.withdrawn_s, 8);
	rotation_root_done(&out);
	out = (struct rotation_root){0};
	key[sizeof ROTATION_ROOT_PREFIX] ^= 1;
	assert_int_equal(rotation_root_parse(key, buf_span(&record), &out), ERR_STATE_DAMAGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_is_read_as_it_was_written),
		cmocka_unit_test(a_damaged_state_is_refused),
		cmocka_unit_test(a_root_is_read_only_under_its_own_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
