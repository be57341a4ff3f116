#include "control/audit/audit_cut.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define EVENT "banned: \"a\" \\ b"

/* The second line of a chain, without its newline; chain: as it is before it. */
static struct span second_line(struct buf *buf, struct audit_chain *chain)
{
	struct audit_chain next;
	assert_int_equal(audit_chain_add(chain, 0, "one", buf), ERR_NONE);
	buf_clear(buf);
	next = *chain;
	assert_int_equal(audit_chain_add(&next, 1800000000123, EVENT, buf), ERR_NONE);
	return span_of(buf_span(buf).ptr, buf_len(buf) - 1);
}

static void what_is_left_of_a_line_is_its_first_bytes(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(AUDIT_LINE_MAX);
	struct audit_chain chain = {0};
	struct span line = second_line(&buf, &chain);
	for (size_t len = 1; len < line.len; len++)
		assert_true(audit_cut_is(&chain, span_of(line.ptr, len)));
	assert_false(audit_cut_is(&chain, line)); /* it is whole */
	assert_false(audit_cut_is(&chain, span_of(line.ptr, 0)));
}

static void C19_what_no_crash_leaves_is_no_cut_line(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(AUDIT_LINE_MAX);
	struct audit_chain chain = {0}, other = {0};
	struct span line = second_line(&buf, &chain);
	char text[AUDIT_LINE_MAX];
	memcpy(text, line.ptr, line.len);
	text[line.len] = ' '; /* a whole line, and a blank */
	assert_false(audit_cut_is(&chain, span_of(text, line.len + 1)));
	text[line.len - 1] = ' '; /* the blank in place of its end */
	assert_false(audit_cut_is(&chain, span_of(text, line.len)));
	assert_false(audit_cut_is(&other, span_of(line.ptr, 20))); /* of another place */
	static const char *const texts[] = {"{\"forged\":\"x\"} ", "x", " ", "{\"number\":2,\"time\":\"now",
		"{\"number\":2,\"time\":\"2026\",\"event\":\"a\\n", "{\"number\":2,\"time\":\"2026\",\"event\":\"a\tb",
		"{\"number\":2,\"time\":\"2026\",\"event\":\"a\",\"previous\":\"00"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_false(audit_cut_is(&chain, span_of_str(texts[i])));
}

/* A loss of power can leave a file that is longer than what was written to it. */
static void zeros_may_be_behind_it(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(AUDIT_LINE_MAX);
	struct audit_chain chain = {0};
	struct span line = second_line(&buf, &chain);
	char text[AUDIT_LINE_MAX] = {0};
	memcpy(text, line.ptr, 50);
	assert_true(audit_cut_is(&chain, span_of(text, 200)));
	assert_true(audit_cut_is(&chain, span_of(text + 50, 200)));
	text[100] = 'x';
	assert_false(audit_cut_is(&chain, span_of(text, 200)));
}

static void the_next_line_states_exactly_what_was_cut(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(AUDIT_LINE_MAX), cut = BUF_INIT(AUDIT_CUT_MAX);
	struct audit_chain chain = {0}, next;
	struct span line = second_line(&buf, &chain);
	assert_int_equal(audit_cut_add(&cut, span_of(line.ptr, 30)), ERR_NONE);
	assert_int_equal(audit_cut_add(&cut, span_of(line.ptr, 40)), ERR_NONE);
	assert_false(audit_cut_is_statement(line));
	buf_clear(&buf);
	next = chain;
	assert_int_equal(audit_cut_state(&next, 0, buf_span(&cut), &buf), ERR_NONE);
	line = span_of(buf_span(&buf).ptr, buf_len(&buf) - 1);
	assert_int_equal(audit_chain_check(&chain, line, false, NULL), ERR_NONE);
	assert_true(audit_cut_is_statement(line));
	assert_true(audit_cut_is_stated(line, buf_span(&cut)));
	assert_false(audit_cut_is_stated(line, span_from(buf_span(&cut), 1)));
	*(uint8_t *)(uintptr_t)buf_span(&cut).ptr ^= 1;
	assert_false(audit_cut_is_stated(line, buf_span(&cut)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left_of_a_line_is_its_first_bytes),
		cmocka_unit_test(C19_what_no_crash_leaves_is_no_cut_line),
		cmocka_unit_test(zeros_may_be_behind_it),
		cmocka_unit_test(the_next_line_states_exactly_what_was_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
