#include "cli/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_refusal_is_shown_as_the_control_plane_wrote_it(void **state)
{
	(void)state;
	struct why there = {0}, here = {0};
	char sent[640], shown[640];
	why_set(&there, ERR_REFUSED, "a SPIFFE ID", "correct it; the grammar is SPIFFE-ID 2", "%s", "\"web\"");
	why_format(&there, sent, sizeof sent);
	assert_int_equal(refusal_read(ERR_REFUSED, sent, &here), ERR_REFUSED);
	assert_string_equal(here.expected, "a SPIFFE ID");
	assert_string_equal(here.got, "\"web\"");
	assert_string_equal(here.fix, "correct it; the grammar is SPIFFE-ID 2");
	assert_string_equal(why_format(&here, shown, sizeof shown), sent);
}

static void any_other_text_is_what_was_got(void **state)
{
	(void)state;
	static const char *const texts[] = {"UNIMPLEMENTED", "", "expected ", "expected a, got b", "expected a; b"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct why why = {0};
		assert_int_equal(refusal_read(ERR_DENIED, texts[i], &why), ERR_DENIED);
		assert_string_equal(why.expected, "the control plane to do it");
		assert_string_equal(why.got, texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_is_shown_as_the_control_plane_wrote_it),
		cmocka_unit_test(any_other_text_is_what_was_got),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
