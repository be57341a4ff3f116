#include "cli/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void splits_a_refusal_into_its_parts(void **state)
{
	(void)state;
	struct why there = {0}, here = {0};
	char sent[640], shown[640];
	why_set(&there, ERR_REFUSED, "a SPIFFE ID", "correct it; the grammar is SPIFFE-ID 2", "the SPIFFE ID is %s",
		"\"web\"");
	why_format(&there, sent, sizeof sent);
	assert_int_equal(refusal_read(ERR_REFUSED, sent, &here), ERR_REFUSED);
	assert_string_equal(here.expected, "a SPIFFE ID");
	assert_string_equal(here.got, "the SPIFFE ID is \"web\"");
	assert_string_equal(here.fix, "correct it; the grammar is SPIFFE-ID 2");
	assert_string_equal(why_format(&here, shown, sizeof shown), sent);
}

static void reports_any_other_text_as_it_is(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"UNIMPLEMENTED", "", "a; expected: ", "a; expected: b", "a; fix: b", "expected a, got b; c"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct why why = {0};
		assert_int_equal(refusal_read(ERR_DENIED, texts[i], &why), ERR_DENIED);
		assert_string_equal(why.expected, "the control plane to accept the command");
		assert_string_equal(why.got + strlen("the control plane refused: "), texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_a_refusal_into_its_parts),
		cmocka_unit_test(reports_any_other_text_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
