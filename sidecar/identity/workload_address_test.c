#include "sidecar/identity/workload_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void takes_the_path_of_a_unix_socket(void **state)
{
	const char *path = NULL;
	(void)state;
	assert_int_equal(workload_address_parse("unix:///run/spire/agent.sock", &path, NULL), ERR_NONE);
	assert_string_equal(path, "/run/spire/agent.sock");
	assert_int_equal(workload_address_parse("/run/spire/agent.sock", &path, NULL), ERR_NONE);
	assert_string_equal(path, "/run/spire/agent.sock");
}

static void refuses_other_forms_and_names_both_settings(void **state)
{
	static const char *const others[] = {"", "unix://", "unix:///", "unix:/run/a", "unix://host/a",
		"tcp://127.0.0.1:80", "run/a", "/", "unix:///a?b", "unix:///a#b", "UNIX:///a"};
	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const char *path = "untouched";
		struct why why = {0};
		assert_int_equal(workload_address_parse(others[i], &path, &why), ERR_CONFIG);
		assert_string_equal(path, "untouched");
		assert_non_null(strstr(why.fix, "identity.workload_api_address"));
		assert_non_null(strstr(why.fix, "SPIFFE_ENDPOINT_SOCKET"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_path_of_a_unix_socket),
		cmocka_unit_test(refuses_other_forms_and_names_both_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
