#include "base/tls/alert.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void names_alerts_as_in_the_specification(_unused_ void **state)
{
	assert_string_equal(alert_name(48), "unknown_ca");
	assert_string_equal(alert_name(116), "certificate_required");
	assert_string_equal(alert_name(120), "no_application_protocol");
}

static void explains_unassigned_alerts(_unused_ void **state)
{
	assert_string_equal(alert_name(255), "unassigned");
	assert_string_equal(alert_name(-1), "unassigned");
	struct why why = {0};
	assert_int_equal(alert_explain(255, &why), ERR_PROTOCOL);
	assert_non_null(strstr(why.got, "255"));
}

static void explains_every_defined_alert(_unused_ void **state)
{
	for (int number = 0; number < 256; number++) {
		struct why why = {0};
		enum err err = alert_explain(number, &why);
		assert_int_not_equal(err, ERR_NONE);
		assert_int_equal(why.err, err);
		assert_true(strlen(why.got) < sizeof why.got - 1); /* not cut */
		assert_true(strlen(why.fix) < sizeof why.fix - 1);
	}
}

static void maps_refusals_to_alerts(_unused_ void **state)
{
	assert_int_equal(alert_for_refusal(ERR_EXPIRED), TLS_ALERT_certificate_expired);
	assert_int_equal(alert_for_refusal(ERR_NO_BUNDLE), TLS_ALERT_unknown_ca);
	assert_int_equal(alert_for_refusal(ERR_REVOKED), TLS_ALERT_certificate_revoked);
	assert_int_equal(alert_for_refusal(ERR_WRONG_PEER), TLS_ALERT_access_denied);
	assert_int_equal(alert_for_refusal(ERR_NO_CERTIFICATE), TLS_ALERT_certificate_required);
	assert_int_equal(alert_for_refusal(ERR_SYSTEM), TLS_ALERT_bad_certificate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_alerts_as_in_the_specification),
		cmocka_unit_test(explains_unassigned_alerts),
		cmocka_unit_test(explains_every_defined_alert),
		cmocka_unit_test(maps_refusals_to_alerts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
