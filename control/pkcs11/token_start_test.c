#include "control/pkcs11/token_start.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void a_program_that_is_not_there_is_named(void **state)
{
	const struct token_start_options options = {.program = "/nowhere/handfast-pkcs11"};
	struct why why = {0};
	int fd = -1;
	pid_t child = 0;
	(void)state;
	assert_int_equal(token_start(&options, &fd, &child, &why), ERR_CONFIG);
	assert_int_equal(fd, -1);
	assert_int_equal(child, 0);
}

static void the_end_of_the_program_is_the_end_of_the_socket(void **state)
{
	const struct token_start_options options = {
		.program = "/bin/true", .key_folder = "/k", .module = "/m", .token = "t", .key = "k", .pin_file = "/p"};
	struct why why = {0};
	uint8_t byte;
	int fd = -1;
	pid_t child = 0;
	(void)state;
	assert_int_equal(token_start(&options, &fd, &child, &why), ERR_NONE);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_that_is_not_there_is_named),
		cmocka_unit_test(the_end_of_the_program_is_the_end_of_the_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
