#include "sidecar/route/listeners.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_port_has_its_listener_and_no_other(void **state)
{
	(void)state;
	static const struct listeners listeners = {.inbound = {{.port = 80}, {.port = 443}}, .num_inbound = 1};
	assert_ptr_equal(listeners_inbound(&listeners, 80), &listeners.inbound[0]);
	assert_null(listeners_inbound(&listeners, 443)); /* beyond the number */
	assert_null(listeners_inbound(&listeners, 0));
}

static void the_ports_of_the_proxy_protocol_are_those_given(void **state)
{
	(void)state;
	static const struct listeners listeners = {.announced = {80, 443}, .num_announced = 1};
	assert_true(listeners_announce(&listeners, 80));
	assert_false(listeners_announce(&listeners, 443)); /* beyond the number */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_has_its_listener_and_no_other),
		cmocka_unit_test(the_ports_of_the_proxy_protocol_are_those_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
