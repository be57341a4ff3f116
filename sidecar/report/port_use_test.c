#include "sidecar/report/port_use.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void append(void *arg, uint16_t port, bool mesh, bool plaintext)
{
	char *text = arg;
	size_t len = strlen(text);
	snprintf(text + len, 128 - len, "%u%s%s ", port, mesh ? "m" : "", plaintext ? "p" : "");
}

static void a_port_records_both_kinds_of_traffic(void **state)
{
	(void)state;
	char text[128] = "";
	struct port_use *use = port_use_new();
	port_use_add(use, 8080, true);
	port_use_add(use, 8080, true);
	port_use_add(use, 65535, false);
	port_use_add(use, 0, true);
	port_use_add(use, 9090, false);
	port_use_add(use, 9090, true);
	port_use_each(use, append, text);
	assert_string_equal(text, "0m 8080m 9090mp 65535p ");
	port_use_free(use);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_port_records_both_kinds_of_traffic)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
