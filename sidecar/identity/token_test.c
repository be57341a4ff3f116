#include "base/core/cleanup.h"
#include "base/net/fd.h"
#include "sidecar/identity/token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "AAECAwQFBgcICQoLDA0ODw"
#define HASH   "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define LINE   "hf1.aWQ." SECRET "." HASH

static void reads_the_four_parts_of_a_line(_unused_ void **state)
{
	_cleanup_(token_done) struct token token = {0};
	assert_int_equal(token_parse(SPAN_LITERAL(LINE "\n"), &token, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&token.id), SPAN_LITERAL("id")));
	assert_int_equal(buf_len(&token.secret), 16);
	assert_int_equal(token.bootstrap_root_sha256[31], 31);
}

static void refuses_a_line_that_is_not_exactly_a_token(_unused_ void **state)
{
	static const char *const wrong[] = {"", "hf1.", "hf2.aWQ." SECRET "." HASH, "hf1.." SECRET "." HASH,
		"hf1.aWQ.." HASH, "hf1.aWQ." SECRET, "hf1.aWQ." SECRET ".", "hf1.aWQ." SECRET ".AAEC", LINE ".",
		LINE ".aWQ", LINE "=", LINE "\n\n", " " LINE, "hf1.a\tQ." SECRET "." HASH, "hf1.aWQ.c2hvcnQ." HASH};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct token token = {0};
		struct why why;
		assert_int_equal(token_parse(span_of_str(wrong[i]), &token, &why), ERR_MALFORMED);
		assert_null(token.secret.ptr);
	}
}

static void W24_never_shows_the_secret_in_its_reason(_unused_ void **state)
{
	struct token token = {0};
	struct why why = {0};
	char text[700];
	assert_int_equal(token_parse(SPAN_LITERAL("hf1.aWQ." SECRET ".x"), &token, &why), ERR_MALFORMED);
	assert_null(strstr(why_format(&why, text, sizeof(text)), SECRET));
}

static void C16_reads_a_file_only_if_no_other_user_can(_unused_ void **state)
{
	static const struct {
		unsigned mode;
		enum err expected;
	} cases[] = {{0600, ERR_NONE}, {0400, ERR_NONE}, {0440, ERR_NONE}, {0604, ERR_DENIED}, {0644, ERR_DENIED},
		{0660, ERR_DENIED}, {0602, ERR_DENIED}, {0601, ERR_DENIED}};
	char folder[] = "/tmp/hf-token-XXXXXX", path[64];
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/token", folder);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(token_done) struct token token = {0};
		assert_int_equal(fd_write_file(path, SPAN_LITERAL(LINE), cases[i].mode, NULL), ERR_NONE);
		assert_int_equal(token_read(path, &token, NULL), cases[i].expected);
	}
	unlink(path);
	struct token token = {0};
	assert_int_equal(token_read(path, &token, NULL), ERR_NOT_FOUND);
	assert_int_equal(token_read(folder, &token, NULL), ERR_DENIED);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_four_parts_of_a_line),
		cmocka_unit_test(refuses_a_line_that_is_not_exactly_a_token),
		cmocka_unit_test(W24_never_shows_the_secret_in_its_reason),
		cmocka_unit_test(C16_reads_a_file_only_if_no_other_user_can),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
