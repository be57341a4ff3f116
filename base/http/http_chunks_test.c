#include "base/http/http_chunks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka requires the two above */
#include <cmocka.h>

static enum err join(const char *text, struct buf *out)
{
	return http_chunks_join(span_of_str(text), out);
}

static void joins_chunks_and_skips_extensions_and_trailers(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(64);
	assert_int_equal(join("4\r\nWiki\r\nA;x=y\r\npedia in\r\n\r\n0\r\nT: 1\r\n\r\n", &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "Wikipedia in\r\n");
}

static void what_is_cut_or_no_chunk_is_malformed(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "4\r\nWiki\r\n", "4\r\nWik", "4\r\nWikiX\r\n0\r\n", "x\r\n", "\r\n",
		"-1\r\n", "4 \nWiki", "123456789\r\n", "FFFFFFFF\r\nx\r\n"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		_cleanup_(buf_done) struct buf out = BUF_INIT(64);
		assert_int_equal(join(texts[i], &out), ERR_MALFORMED);
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(3);
	assert_int_equal(join("4\r\nWiki\r\n0\r\n\r\n", &out), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_chunks_and_skips_extensions_and_trailers),
		cmocka_unit_test(what_is_cut_or_no_chunk_is_malformed),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
