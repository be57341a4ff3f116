#include "intercept/report.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void writes_one_line_per_finding(_unused_ void **state)
{
	struct report report = {0};
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	report_add(&report, FINDING_OK, "outbound_ipv4", "arrived at %d", 15001);
	report_add(&report, FINDING_NOTE, "ipv6", "off");
	assert_int_equal(report_render(&report, "check", false, &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "ok       outbound_ipv4: arrived at 15001\nnote     ipv6: off\n");
}

static void writes_one_json_object_that_is_ok_when_nothing_failed(_unused_ void **state)
{
	struct report report = {0};
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	report_add(&report, FINDING_NOTE, "ipv6", "it's \"off\"");
	assert_int_equal(report_render(&report, "up", true, &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "{\"command\":\"up\",\"ok\":true,\"findings\":[{\"point\":\"ipv6\","
					    "\"state\":\"note\",\"text\":\"it's \\\"off\\\"\"}]}\n");
}

static void is_not_ok_when_something_failed_or_is_unproven(_unused_ void **state)
{
	const enum finding_state states[] = {FINDING_FAILED, FINDING_UNPROVEN};
	for (size_t i = 0; i < 2; i++) {
		struct report report = {0};
		_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
		report_add(&report, FINDING_OK, "a", "a");
		report_add(&report, states[i], "b", "b");
		assert_int_equal(report_render(&report, "check", true, &out), ERR_NONE);
		assert_non_null(strstr(buf_cstr(&out), "\"ok\":false"));
		assert_true(report_has(&report, states[i]));
	}
}

static void writes_a_failure_with_its_fix(_unused_ void **state)
{
	struct report report = {0};
	struct why why = {0};
	assert_int_equal(why_set(&why, ERR_SYSTEM, "rules", "look", "%s", "nothing"), ERR_SYSTEM);
	report_add_why(&report, "write", &why);
	assert_int_equal(report.findings[0].state, FINDING_FAILED);
	assert_non_null(strstr(report.findings[0].text, "look"));
}

static void cuts_a_text_that_is_too_long(_unused_ void **state)
{
	struct report report = {0};
	report_add(&report, FINDING_OK, "a", "%2000d", 1);
	assert_int_equal(strlen(report.findings[0].text), sizeof(report.findings[0].text) - 1);
}

static void a_plan_is_commands_for_nft_or_one_json_object(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(1024), json = BUF_INIT(1024);
	assert_int_equal(report_render_plan("up", SPAN_LITERAL("add \"x\"\n"), "add it", false, &text), ERR_NONE);
	assert_string_equal(buf_cstr(&text), "add \"x\"\n# and on lo: add it\n");
	assert_int_equal(report_render_plan("up", SPAN_LITERAL("add \"x\"\n"), "add it", true, &json), ERR_NONE);
	assert_string_equal(buf_cstr(&json),
		"{\"command\":\"up\",\"dry_run\":true,\"nft\":\"add \\\"x\\\"\\n\",\"lo\":\"add it\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_one_line_per_finding),
		cmocka_unit_test(writes_one_json_object_that_is_ok_when_nothing_failed),
		cmocka_unit_test(is_not_ok_when_something_failed_or_is_unproven),
		cmocka_unit_test(writes_a_failure_with_its_fix),
		cmocka_unit_test(a_plan_is_commands_for_nft_or_one_json_object),
		cmocka_unit_test(cuts_a_text_that_is_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
