#include "base/settings/command_line/exit_code.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

/* Scripts compare them: they are an interface. */
static void the_numbers_are_those_of_the_reference(_unused_ void **state)
{
	assert_int_equal(cli_exit_of(ERR_NONE), 0);
	assert_int_equal(cli_exit_of(ERR_UNTRUSTED), 1);
	assert_int_equal(cli_exit_of(ERR_CONFIG), 64);
	assert_int_equal(cli_exit_of(ERR_STATE_DAMAGED), 65);
	assert_int_equal(cli_exit_of(ERR_UNREACHABLE), 69);
	assert_int_equal(cli_exit_of(ERR_SYSTEM), 70);
	assert_int_equal(cli_exit_of(ERR_DENIED), 77);
}

static void each_error_has_one_of_them_and_none_is_success(_unused_ void **state)
{
	static const enum cli_exit exits[] = {
#define EXIT_CODE(symbol, number, text) symbol,
#include "base/settings/command_line/exit_codes.def"
#undef EXIT_CODE
	};
	for (unsigned err = ERR_NONE + 1; err_is_known(err); err++) {
		enum cli_exit is = cli_exit_of((enum err)err);
		bool is_listed = false;
		for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++)
			is_listed |= exits[i] == is;
		assert_true(is_listed);
		assert_int_not_equal(is, CLI_DONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_numbers_are_those_of_the_reference),
		cmocka_unit_test(each_error_has_one_of_them_and_none_is_success),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
