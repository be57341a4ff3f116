#include "base/core/buf.h"
#include "control/page/page_html.h"
#include "control/page/page_policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

static bool has(const char *text)
{
	return memmem(page_html, page_html_len, text, strlen(text)) != NULL;
}

static void the_page_is_whole_and_has_a_policy(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf policy = BUF_INIT(PAGE_POLICY_MAX);
	assert_int_equal(page_policy(span_of(page_html, page_html_len), &policy), ERR_NONE);
	assert_true(page_html_len > 1000);
	assert_memory_equal(page_html, "<!doctype html>", 15);
	assert_memory_equal(page_html + page_html_len - 8, "</html>\n", 8);
}

/* What the policy would refuse, or what would make markup of a text that others have chosen. */
static void D36_the_page_makes_no_markup_of_texts_and_names_no_other_place(void **state)
{
	(void)state;
	static const char *const refused[] = {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
		"srcdoc", " style=\"", "onclick", "onload", "src=", "https://", "@import", "url(http", "localStorage",
		"sessionStorage", "document.cookie"};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_false(has(refused[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_whole_and_has_a_policy),
		cmocka_unit_test(D36_the_page_makes_no_markup_of_texts_and_names_no_other_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
