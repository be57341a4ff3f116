#include "control/audit/audit_verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

/* A log of texts, each with its newline. */
static enum err verify_all(struct audit_verify *verify, struct span log, struct why *why)
{
	audit_verify_init(verify);
	while (log.len > 0) {
		const uint8_t *newline = memchr(log.ptr, '\n', log.len);
		size_t len = newline == NULL ? log.len : (size_t)(newline - log.ptr);
		RETURN_IF_ERR(audit_verify_line(verify, span_of(log.ptr, len), why));
		log = span_from(log, len + (newline != NULL));
	}
	return ERR_NONE;
}

static enum err verdict(struct span log, uint64_t *out_num_lines)
{
	_cleanup_(audit_verify_done) struct audit_verify verify;
	struct why why = {0};
	enum err err = verify_all(&verify, log, &why);
	*out_num_lines = verify.num_lines;
	return err;
}

static void put_events(struct audit_chain *chain, const char *const *events, struct buf *out)
{
	for (; *events != NULL; events++)
		assert_int_equal(audit_chain_add(chain, 0, *events, out), ERR_NONE);
}

static const char *const four[] = {"one", "two", "banned: thief", "four", NULL};

static struct span line_of(const struct buf *log, unsigned number)
{
	struct span rest = buf_span(log);
	for (;;) {
		const uint8_t *newline = memchr(rest.ptr, '\n', rest.len);
		assert_non_null(newline);
		size_t len = (size_t)(newline - rest.ptr) + 1;
		if (number-- == 0)
			return span_of(rest.ptr, len);
		rest = span_from(rest, len);
	}
}

static void append(struct buf *out, struct span bytes)
{
	assert_int_equal(buf_append(out, bytes), ERR_NONE);
}

/* The log with the text before line `at`; 4: at its end. */
static void put_inserted(const struct buf *log, unsigned at, struct span text, struct buf *out)
{
	for (unsigned i = 0; i <= 4; i++) {
		if (i == at)
			append(out, text);
		if (i < 4)
			append(out, line_of(log, i));
	}
}

static void a_log_is_one_chain(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536);
	struct audit_chain chain = {0};
	uint64_t num;
	put_events(&chain, four, &log);
	assert_int_equal(verdict(buf_span(&log), &num), ERR_NONE);
	assert_int_equal(num, 4);
	assert_int_equal(verdict(span_of(buf_span(&log).ptr, buf_len(&log) - 1), &num), ERR_NONE); /* the newline */
	assert_int_equal(num, 4);
}

static void C19_a_line_that_is_inserted_anywhere_is_found(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536);
	struct audit_chain chain = {0};
	uint64_t num;
	static const char *const texts[] = {"{\"forged\":\"operator bob banned everyone\"} \n", "\n", "x\n",
		"{\"number\":3,\"time\":\"2026\",\"event\":\"operator bob banned everyone\n", "{\"number\":\n"};
	put_events(&chain, four, &log);
	for (unsigned at = 0; at < 4; at++)
		for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
			_cleanup_(buf_done) struct buf forged = BUF_INIT(65536);
			put_inserted(&log, at, span_of_str(texts[i]), &forged);
			assert_int_equal(verdict(buf_span(&forged), &num), ERR_STATE_DAMAGED);
		}
}

/* Each byte of the log in turn becomes a blank, and a blank is put before each: none is held for a line that is cut. */
static void C19_each_changed_byte_is_found(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536);
	struct audit_chain chain = {0};
	uint64_t num;
	put_events(&chain, four, &log);
	size_t len = buf_len(&log);
	uint8_t *bytes = (uint8_t *)(uintptr_t)buf_span(&log).ptr;
	for (size_t i = 0; i + 1 < len; i++) {
		uint8_t before = bytes[i];
		bytes[i] = ' ';
		assert_int_equal(verdict(buf_span(&log), &num), before == ' ' ? ERR_NONE : ERR_STATE_DAMAGED);
		bytes[i] = before;
	}
	for (size_t i = 0; i < len; i++) {
		_cleanup_(buf_done) struct buf longer = BUF_INIT(65536);
		append(&longer, span_of(bytes, i));
		append(&longer, SPAN_LITERAL(" "));
		append(&longer, span_of(bytes + i, len - i));
		assert_int_equal(verdict(buf_span(&longer), &num), ERR_STATE_DAMAGED);
	}
}

static void C19_a_log_whose_lines_are_all_changed_has_no_line(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536), changed = BUF_INIT(65536);
	struct audit_chain chain = {0};
	uint64_t num;
	put_events(&chain, four, &log);
	for (unsigned i = 0; i < 4; i++) {
		struct span line = line_of(&log, i);
		append(&changed, span_of(line.ptr, line.len - 1));
		append(&changed, SPAN_LITERAL(" \n"));
	}
	assert_int_equal(verdict(buf_span(&changed), &num), ERR_NONE);
	assert_int_equal(num, 0);
}

/* A crash at each byte of the last line, twice, and a line that states it. */
static void what_a_crash_cut_is_stated(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536);
	struct audit_chain chain = {0};
	put_events(&chain, four, &log);
	struct span last = line_of(&log, 3);
	size_t before = buf_len(&log) - last.len;
	chain = (struct audit_chain){0};
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			audit_chain_check(&chain, span_of(line_of(&log, i).ptr, line_of(&log, i).len - 1), false, NULL),
			ERR_NONE);
	for (size_t len = 1; len < last.len - 1; len++) {
		_cleanup_(buf_done) struct buf crashed = BUF_INIT(65536), cut = BUF_INIT(AUDIT_CUT_MAX);
		_cleanup_(audit_verify_done) struct audit_verify verify;
		struct audit_chain next = chain;
		append(&crashed, span_of(buf_span(&log).ptr, before));
		for (int i = 0; i < 2; i++)
			assert_int_equal(audit_cut_add(&cut, span_of(last.ptr, len)), ERR_NONE);
		append(&crashed, buf_span(&cut));
		assert_int_equal(audit_cut_state(&next, 0, buf_span(&cut), &crashed), ERR_NONE);
		assert_int_equal(audit_chain_add(&next, 0, "after", &crashed), ERR_NONE);
		assert_int_equal(verify_all(&verify, buf_span(&crashed), NULL), ERR_NONE);
		assert_int_equal(verify.num_lines, 5);
		assert_int_equal(verify.num_cut, 2);
		assert_int_equal(buf_len(&verify.cut), 0);
	}
}

static void what_is_behind_the_last_line_is_counted_by_itself(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536);
	_cleanup_(audit_verify_done) struct audit_verify verify;
	struct audit_chain chain = {0};
	put_events(&chain, four, &log);
	struct span whole = buf_span(&log);
	assert_int_equal(verify_all(&verify, span_of(whole.ptr, whole.len - 5), NULL), ERR_NONE);
	assert_int_equal(verify.num_lines, 3);
	assert_int_equal(buf_len(&verify.cut), line_of(&log, 3).len - 4); /* with a newline */
}

static void C19_what_was_stated_cannot_be_removed_or_changed(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536), without = BUF_INIT(65536);
	struct audit_chain chain = {0};
	struct why why = {0};
	uint64_t num;
	static const char left[] = "{\"number\":5,\"time\":\"2026\n";
	put_events(&chain, four, &log);
	append(&without, buf_span(&log));
	append(&log, span_of_str(left));
	struct audit_chain other = chain;
	assert_int_equal(audit_cut_state(&chain, 0, span_of_str(left), &log), ERR_NONE);
	assert_int_equal(verdict(buf_span(&log), &num), ERR_NONE);
	assert_int_equal(audit_cut_state(&other, 0, span_of_str(left), &without), ERR_NONE);
	_cleanup_(audit_verify_done) struct audit_verify verify;
	assert_int_equal(verify_all(&verify, buf_span(&without), &why), ERR_STATE_DAMAGED);
	assert_non_null(strstr(why.got, "were removed"));
	uint8_t *bytes = memmem(buf_span(&log).ptr, buf_len(&log), "2026\n", 5);
	assert_non_null(bytes);
	bytes[3] = '7';
	assert_int_equal(verdict(buf_span(&log), &num), ERR_STATE_DAMAGED);
}

/* The former file ended with what was cut. */
static void a_file_may_begin_with_a_statement(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT(65536);
	struct audit_chain chain = {.number = 7};
	uint64_t num;
	assert_int_equal(audit_cut_state(&chain, 0, SPAN_LITERAL("{\"nu\n"), &log), ERR_NONE);
	assert_int_equal(audit_chain_add(&chain, 0, "after", &log), ERR_NONE);
	assert_int_equal(verdict(buf_span(&log), &num), ERR_NONE);
	assert_int_equal(num, 2);
}

static void bytes_that_are_no_line_have_a_limit(_unused_ void **state)
{
	_cleanup_(audit_verify_done) struct audit_verify verify;
	char line[AUDIT_LINE_MAX];
	memset(line, 'x', sizeof line);
	audit_verify_init(&verify);
	for (size_t i = 0; i < AUDIT_CUT_MAX / sizeof line - 1; i++)
		assert_int_equal(audit_verify_line(&verify, span_of(line, sizeof line), NULL), ERR_NONE);
	assert_int_equal(audit_verify_line(&verify, span_of(line, sizeof line), NULL), ERR_STATE_DAMAGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_is_one_chain),
		cmocka_unit_test(C19_a_line_that_is_inserted_anywhere_is_found),
		cmocka_unit_test(C19_each_changed_byte_is_found),
		cmocka_unit_test(C19_a_log_whose_lines_are_all_changed_has_no_line),
		cmocka_unit_test(what_a_crash_cut_is_stated),
		cmocka_unit_test(what_is_behind_the_last_line_is_counted_by_itself),
		cmocka_unit_test(C19_what_was_stated_cannot_be_removed_or_changed),
		cmocka_unit_test(a_file_may_begin_with_a_statement),
		cmocka_unit_test(bytes_that_are_no_line_have_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
