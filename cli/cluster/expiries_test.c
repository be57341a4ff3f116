#include "cli/cluster/expiries.h"
#include "cli/cluster/test_objects.h"

enum { DAY_S = 86400, NOW_S = 1800000000 };

static const char metrics[] =
	"# TYPE handfast_control_certificate_expiry_timestamp_seconds gauge\n"
	"handfast_control_certificate_expiry_timestamp_seconds{kind=\"root\",sha256=\"aa\"} 1800864000\n" /* 10 days */
	"handfast_control_certificate_expiry_timestamp_seconds{kind=\"server\",sha256=\"bb\"} 1800064800\n" /* 18 h */
	"# TYPE handfast_control_certificate_start_timestamp_seconds gauge\n"
	"handfast_control_certificate_start_timestamp_seconds{kind=\"root\",sha256=\"aa\"} 1770000000\n"
	"handfast_control_certificate_start_timestamp_seconds{kind=\"server\",sha256=\"bb\"} 1799978400\n"; /* for 24 h
													     */

static void judge(struct findings *findings, int64_t within_s, int64_t now_s)
{
	findings_init(findings);
	check_expiries(findings, "replica a", metrics, within_s, now_s);
}

static void a_root_ends_soon_and_what_is_renewed_by_itself_does_not(void **state)
{
	struct findings findings;
	(void)state;
	judge(&findings, 30 * DAY_S, NOW_S);
	assert_int_equal(findings.num_wrong, 1);
	test_is_wrong(
		&findings, "certificate-expiry", "replica a: the one with kind=\"root\",sha256=\"aa\" expires at");
	findings_done(&findings);
	judge(&findings, 5 * DAY_S, NOW_S);
	assert_int_equal(findings.num_wrong, 0);
	test_is_well(&findings, "certificate-expiry");
	findings_done(&findings);
}

static void a_late_renewal_is_wrong(void **state)
{
	struct findings findings;
	(void)state;
	judge(&findings, 5 * DAY_S, NOW_S + 13 * 3600); /* 5 h of 24 h are left */
	assert_int_equal(findings.num_wrong, 1);
	test_is_wrong(&findings, "certificate-expiry", "kind=\"server\"");
	findings_done(&findings);
}

static void what_is_not_measured_is_not_judged(void **state)
{
	static const char *const rows[] = {"", "<html>", "\nhandfast_control_certificate_expiry_timestamp_seconds{",
		"\nhandfast_control_certificate_expiry_timestamp_second{a} 5\n"};
	struct findings findings;
	(void)state;
	findings_init(&findings);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_expiries(&findings, "replica a", rows[i], DAY_S, NOW_S);
	assert_int_equal(json_array_size(findings.rows), 0);
	findings_done(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_root_ends_soon_and_what_is_renewed_by_itself_does_not),
		cmocka_unit_test(a_late_renewal_is_wrong),
		cmocka_unit_test(what_is_not_measured_is_not_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
