#include "control/archive.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <string.h>

static void files_come_back(void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(4096);
	struct archive archive;
	(void)state;
	assert_int_equal(archive_add(&bytes, "about", SPAN_LITERAL("a backup")), ERR_NONE);
	assert_int_equal(archive_add(&bytes, "keys/root-next.pem", SPAN_LITERAL("a key")), ERR_NONE);
	assert_int_equal(archive_add(&bytes, "store/control.db", SPAN_LITERAL("")), ERR_NONE);
	assert_int_equal(archive_parse(buf_span(&bytes), &archive, NULL), ERR_NONE);
	assert_int_equal(archive.num, 3);
	assert_true(span_eq(archive_find(&archive, "keys/root-next.pem")->content, SPAN_LITERAL("a key")));
	assert_int_equal(archive_find(&archive, "store/control.db")->content.len, 0);
	assert_null(archive_find(&archive, "keys"));
	for (size_t len = 1; len < buf_len(&bytes); len++) { /* cut within a file, or between two */
		enum err err = archive_parse(span_of(buf_span(&bytes).ptr, len), &archive, NULL);
		assert_true(err == ERR_MALFORMED || archive.num < 3);
	}
}

static enum err parse_one(const char *name, uint64_t len)
{
	uint8_t bytes[256] = {(uint8_t)strlen(name)};
	struct archive archive;
	for (size_t i = 0; i < 8; i++)
		bytes[1 + i] = (uint8_t)(len >> (56 - 8 * i));
	memcpy(bytes + 9, name, strlen(name));
	return archive_parse(span_of(bytes, 9 + strlen(name) + 3), &archive, NULL);
}

static void c29_names_that_lead_elsewhere_and_lengths_that_do_not_fit_are_refused(void **state)
{
	static const char *const bad[] = {"", "/etc", "keys/", "../root", "keys/..", "keys/../x", ".hidden", "keys/.x",
		"a/b/c", "Keys/x", "keys/x\n", "keys//x", "x."};
	(void)state;
	assert_int_equal(parse_one("keys/root.pem", 3), ERR_NONE);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(parse_one(bad[i], 3), ERR_MALFORMED);
	assert_int_equal(parse_one("keys/root.pem", 4), ERR_MALFORMED);
	assert_int_equal(parse_one("keys/root.pem", UINT64_MAX), ERR_MALFORMED);
}

static void a_file_twice_or_too_many_are_refused(void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(65536);
	struct archive archive;
	char name[16] = "keys/a0";
	(void)state;
	for (unsigned i = 0; i <= ARCHIVE_FILES_MAX; i++) {
		name[5] = (char)('a' + i / 10);
		name[6] = (char)('0' + i % 10);
		assert_int_equal(archive_parse(buf_span(&bytes), &archive, NULL), ERR_NONE);
		assert_int_equal(archive_add(&bytes, name, SPAN_LITERAL("x")), ERR_NONE);
	}
	assert_int_equal(archive_parse(buf_span(&bytes), &archive, NULL), ERR_MALFORMED);
	buf_clear(&bytes);
	assert_int_equal(archive_add(&bytes, name, SPAN_LITERAL("x")), ERR_NONE);
	assert_int_equal(archive_add(&bytes, name, SPAN_LITERAL("x")), ERR_NONE);
	assert_int_equal(archive_parse(buf_span(&bytes), &archive, NULL), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_come_back),
		cmocka_unit_test(c29_names_that_lead_elsewhere_and_lengths_that_do_not_fit_are_refused),
		cmocka_unit_test(a_file_twice_or_too_many_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
