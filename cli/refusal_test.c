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

static void a_control_plane_that_lacks_the_command_is_to_be_upgraded(void **state)
{
	(void)state;
	struct why why = {0};
	assert_int_equal(refusal_unimplemented("no such method", &why), ERR_REFUSED);
	assert_string_equal(why.got, "the control plane's release has no such command (no such method)");
	assert_non_null(strstr(why.fix, "upgrade the control plane"));
	assert_int_equal(refusal_unimplemented("a is here; expected: b; fix: c", &why), ERR_REFUSED);
	assert_string_equal(why.got, "a is here");
	assert_string_equal(why.fix, "c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_a_refusal_into_its_parts),
		cmocka_unit_test(reports_any_other_text_as_it_is),
		cmocka_unit_test(a_control_plane_that_lacks_the_command_is_to_be_upgraded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
