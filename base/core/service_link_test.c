#include "base/core/service_link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include "base/core/cleanup.h"
#include <cmocka.h>

static void finding_o4_recognizes_the_service_variables_of_kubernetes(_unused_ void **state)
{
	static const char *const names[] = {"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTPS", "WEB_SERVICE_HOST",
		"PORT_80_TCP", "PORT_80_TCP_ADDR", "PORT_53_UDP_PROTO", "PORT_9_SCTP_PORT", "WEB_PORT_80_TCP"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_true(service_link_is(names[i], "10.0.0.1"));
	assert_true(service_link_is("PORT", "tcp://10.0.0.1:80"));
	assert_true(service_link_is("WEB_PORT", "udp://10.0.0.1:53"));
}

static void finding_o4_refuses_a_misspelled_setting(_unused_ void **state)
{
	static const char *const names[] = {"", "PORT", "WEB_PORT", "PORTS", "PORT_x", "PORT_80", "PORT_80_TCPX",
		"SERVICE", "SERVICES", "SERVICE_HOSTS", "EXCLUDED_PORTS"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(service_link_is(names[i], "80"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_o4_recognizes_the_service_variables_of_kubernetes),
		cmocka_unit_test(finding_o4_refuses_a_misspelled_setting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
