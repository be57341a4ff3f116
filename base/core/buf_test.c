#include "base/core/buf.h"
#include "base/core/test_memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void appends_and_consumes_in_order(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(16);
	assert_int_equal(buf_append_str(&buf, "hello "), ERR_NONE);
	assert_int_equal(buf_append_str(&buf, "world"), ERR_NONE);
	buf_consume(&buf, 6);
	assert_true(span_eq(buf_span(&buf), SPAN_LITERAL("world")));
	assert_string_equal(buf_cstr(&buf), "world");
}

static void refuses_what_exceeds_the_maximum_and_appends_nothing(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(8);
	uint8_t *room = NULL;
	assert_int_equal(buf_append_str(&buf, "12345678"), ERR_NONE);
	assert_int_equal(buf_append_str(&buf, "9"), ERR_LIMIT);
	assert_int_equal(buf_append(&buf, span_of("", SIZE_MAX)), ERR_LIMIT);
	assert_int_equal(buf_reserve(&buf, 1, &room), ERR_LIMIT);
	assert_null(room);
	assert_int_equal(buf_printf(&buf, "%d", 9), ERR_LIMIT);
	assert_string_equal(buf_cstr(&buf), "12345678");
}

static void frees_room_by_consuming(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(8);
	assert_int_equal(buf_append_str(&buf, "12345678"), ERR_NONE);
	buf_consume(&buf, 3);
	assert_int_equal(buf_room(&buf), 3);
	assert_int_equal(buf_append_str(&buf, "abcd"), ERR_LIMIT);
	assert_int_equal(buf_append_str(&buf, "abc"), ERR_NONE);
	assert_string_equal(buf_cstr(&buf), "45678abc");
}

static void keeps_its_bytes_for_every_split_into_pieces(_unused_ void **state)
{
	enum { MAX = 1000, TOTAL = 20000 };
	_cleanup_(buf_done) struct buf buf = BUF_INIT(MAX);
	uint8_t piece[64];
	unsigned written = 0, read = 0;
	for (unsigned round = 0; read < TOTAL; round++) {
		size_t len = round * 7 % sizeof piece;
		for (size_t i = 0; i < len; i++)
			piece[i] = (uint8_t)((written + i) % 251);
		if (buf_append(&buf, span_of(piece, len)) == ERR_NONE)
			written += (unsigned)len;
		size_t taken = round * 5 % (buf_len(&buf) + 1);
		for (size_t i = 0; i < taken; i++)
			assert_int_equal(buf_span(&buf).ptr[i], (read + i) % 251);
		buf_consume(&buf, taken);
		read += (unsigned)taken;
		assert_true(buf.cap <= MAX && buf_len(&buf) == written - read);
	}
}

static void reserves_commits_and_prints(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(10);
	uint8_t *room;
	assert_int_equal(buf_reserve(&buf, 4, &room), ERR_NONE);
	memcpy(room, "ab", 2);
	buf_commit(&buf, 2);
	assert_int_equal(buf_printf(&buf, "%s-%d", "cd", 12345), ERR_NONE);
	assert_string_equal(buf_cstr(&buf), "abcd-12345");
}

static void returns_a_terminated_text_when_empty_or_without_maximum(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf zeroed = {.max = 0};
	assert_string_equal(buf_cstr(&zeroed), "");
	assert_int_equal(buf_append(&zeroed, span_of(NULL, 0)), ERR_NONE);
	assert_int_equal(buf_append_str(&zeroed, "x"), ERR_LIMIT);
}

static void can_be_used_again_after_done_wipe_and_trim(_unused_ void **state)
{
	struct buf buf = BUF_INIT(4);
	assert_int_equal(buf_append_str(&buf, "abcd"), ERR_NONE);
	buf_trim(&buf);
	assert_int_equal(buf_len(&buf), 4);
	buf_consume(&buf, 4);
	buf_trim(&buf);
	assert_null(buf.ptr);
	assert_int_equal(buf_append_str(&buf, "efgh"), ERR_NONE);
	buf_wipe(&buf);
	assert_int_equal(buf_append_str(&buf, "ijkl"), ERR_NONE);
	buf_done(&buf);
	assert_int_equal(buf_room(&buf), 4);
	assert_null(buf.ptr);
}

#ifndef __SANITIZE_THREAD__ /* its shadow memory takes minutes to read */
static void put_secret(struct buf *buf)
{
	uint8_t *room;
	assert_int_equal(buf_reserve(buf, TEST_SECRET_LEN, &room), ERR_NONE);
	test_secret_write(room);
	buf_commit(buf, TEST_SECRET_LEN);
}

static void a_secret_leaves_no_copy_in_memory(_unused_ void **state)
{
	struct buf buf = BUF_INIT_SECRET(10000);
	uint8_t *room;
	put_secret(&buf);
	assert_int_equal(test_memory_num_secrets(), 1);
	assert_int_equal(buf_reserve(&buf, 9000, &room), ERR_NONE); /* it grows */
	assert_int_equal(test_memory_num_secrets(), 1);
	buf_consume(&buf, TEST_SECRET_LEN);
	buf_trim(&buf);
	assert_int_equal(test_memory_num_secrets(), 0);
	put_secret(&buf);
	assert_int_equal(test_memory_num_secrets(), 1);
	buf_done(&buf);
	assert_int_equal(test_memory_num_secrets(), 0);
	assert_true(buf.is_secret && buf_room(&buf) == 10000);
}
#endif

static void another_maximum_holds_from_then_on(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf buf = BUF_INIT(8);
	assert_int_equal(buf_append_str(&buf, "1234"), ERR_NONE);
	buf_set_max(&buf, 4);
	assert_int_equal(buf_append_str(&buf, "5"), ERR_LIMIT);
	buf_set_max(&buf, 6);
	assert_int_equal(buf_append_str(&buf, "56"), ERR_NONE);
	assert_int_equal(buf_room(&buf), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_consumes_in_order),
		cmocka_unit_test(refuses_what_exceeds_the_maximum_and_appends_nothing),
		cmocka_unit_test(frees_room_by_consuming),
		cmocka_unit_test(keeps_its_bytes_for_every_split_into_pieces),
		cmocka_unit_test(reserves_commits_and_prints),
		cmocka_unit_test(returns_a_terminated_text_when_empty_or_without_maximum),
		cmocka_unit_test(can_be_used_again_after_done_wipe_and_trim),
#ifndef __SANITIZE_THREAD__
		cmocka_unit_test(a_secret_leaves_no_copy_in_memory),
#endif
		cmocka_unit_test(another_maximum_holds_from_then_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
