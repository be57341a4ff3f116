#include "control/audit/audit_chain.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

static struct span line_at(const struct buf *buf, size_t number)
{
	struct span rest = buf_span(buf);
	for (;;) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		assert_non_null(end);
		if (number-- == 0)
			return span_of(rest.ptr, (size_t)(end - rest.ptr));
		rest = span_from(rest, (size_t)(end - rest.ptr) + 1);
	}
}

static void fill(struct buf *out)
{
	struct audit_chain chain = {0};
	assert_int_equal(audit_chain_add(&chain, 0, "attested: spiffe://td/a", out), ERR_NONE);
	assert_int_equal(audit_chain_add(&chain, 1000, "a quote \" a newline \n and a backslash \\", out), ERR_NONE);
	assert_int_equal(audit_chain_add(&chain, 1800000000123, "banned: spiffe://td/a", out), ERR_NONE);
	assert_int_equal(chain.number, 3);
}

static void lines_continue_each_other(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(65536);
	struct audit_chain chain = {0};
	struct why why = {0};
	fill(&buf);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(audit_chain_check(&chain, line_at(&buf, i), false, &why), ERR_NONE);
	assert_int_equal(chain.number, 3);
	assert_non_null(strstr(buf_cstr(&buf), "\"time\":\"2027-01-15T08:00:00.123Z\",\"event\":\"banned"));
}

static void C19_a_removed_or_repeated_line_is_found(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(65536);
	struct audit_chain chain = {0};
	struct why why = {0};
	fill(&buf);
	assert_int_equal(audit_chain_check(&chain, line_at(&buf, 1), false, &why), ERR_STATE_DAMAGED);
	assert_int_equal(audit_chain_check(&chain, line_at(&buf, 0), false, &why), ERR_NONE);
	assert_int_equal(audit_chain_check(&chain, line_at(&buf, 2), true, &why), ERR_STATE_DAMAGED);
	assert_int_equal(audit_chain_check(&chain, line_at(&buf, 0), true, &why), ERR_STATE_DAMAGED);
	assert_int_equal(chain.number, 1);
	chain = (struct audit_chain){0};
	assert_int_equal(audit_chain_check(&chain, line_at(&buf, 2), true, &why), ERR_NONE); /* a file that continues */
}

static void C19_each_changed_byte_is_found(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(65536);
	fill(&buf);
	struct span line = line_at(&buf, 1);
	for (size_t i = 0; i < line.len; i++) {
		uint8_t *byte = (uint8_t *)(uintptr_t)&line.ptr[i];
		struct audit_chain chain = {0};
		*byte ^= 1;
		assert_int_equal(audit_chain_check(&chain, line_at(&buf, 0), false, NULL), ERR_NONE);
		assert_int_equal(audit_chain_check(&chain, line, false, NULL), ERR_STATE_DAMAGED);
		*byte ^= 1;
		assert_int_equal(audit_chain_check(&chain, span_of(line.ptr, i), false, NULL), ERR_STATE_DAMAGED);
	}
}

static void an_event_of_any_length_fits(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(65536);
	struct audit_chain chain = {0};
	char event[3000];
	memset(event, '"', sizeof event - 1);
	event[sizeof event - 1] = '\0';
	assert_int_equal(audit_chain_add(&chain, 0, event, &buf), ERR_NONE);
	assert_true(buf_len(&buf) < AUDIT_LINE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_continue_each_other),
		cmocka_unit_test(C19_a_removed_or_repeated_line_is_found),
		cmocka_unit_test(C19_each_changed_byte_is_found),
		cmocka_unit_test(an_event_of_any_length_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
