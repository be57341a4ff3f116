#include "certs/pem.h"
#include "certs/test_ca.h"
#include "cli/cluster/test_objects.h"
#include "cli/cluster/times.h"

enum { DAY_S = 86400 };

static void a_root_is_wrong_from_30_days_before_its_end(void **state)
{
	static const char metrics[] = "# HELP handfast_control_root_expiry_timestamp_seconds When.\n"
				      "handfast_control_root_expiry_timestamp_seconds 1800000000\n"
				      "handfast_control_bootstrap_root_expiry_timestamp_seconds 1900000000\n";
	static const struct {
		int64_t now_s;
		const char *part; /* NULL: well */
	} rows[] = {{1800000000 - 31 * DAY_S, NULL}, {1800000000 - 30 * DAY_S, "the mesh's root expires 2027-01-15"},
		{1800000001, "the mesh's root has expired 2027-01-15"}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct findings findings;
		findings_init(&findings);
		check_root_expiry(&findings, metrics, rows[i].now_s);
		assert_int_equal(findings.num_wrong, rows[i].part == NULL ? 0 : 1);
		assert_non_null(test_row(&findings, "root-expiry", 1));
		if (rows[i].part != NULL)
			test_is_wrong(&findings, "root-expiry", rows[i].part);
		findings_done(&findings);
	}
}

static void what_is_not_measured_is_not_judged(void **state)
{
	static const char *const rows[] = {"", "handfast_control_root_expiry_timestamp_seconds 0\n", "<html>\n",
		"handfast_control_root_expiry_timestamp_seconds",
		"handfast_control_root_expiry_timestamp_seconds_total 5\n"};
	struct findings findings;
	(void)state;
	findings_init(&findings);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_root_expiry(&findings, rows[i], 1);
	assert_int_equal(json_array_size(findings.rows), 0);
	findings_done(&findings);
}

static void append_authority(int64_t not_after_s, struct buf *out)
{
	struct test_cert_spec spec = test_ca_spec("webhook");
	spec.not_after_s = not_after_s;
	struct test_cert *cert = test_cert_new(&spec, NULL);
	assert_int_equal(pem_encode("CERTIFICATE", test_cert_der(cert), out), ERR_NONE);
	test_cert_free(cert);
}

static void the_last_authority_of_the_webhook_counts(void **state)
{
	_cleanup_(buf_done) struct buf bundle = BUF_INIT(65536);
	struct findings findings;
	(void)state;
	findings_init(&findings);
	append_authority(TEST_NOW_S - 60, &bundle);
	check_webhook_certificate(&findings, buf_span(&bundle), TEST_NOW_S);
	test_is_wrong(&findings, "webhook-certificate", "has expired 1 minutes ago");
	findings_done(&findings);
	findings_init(&findings);
	append_authority(TEST_NOW_S + 3600, &bundle);
	check_webhook_certificate(&findings, buf_span(&bundle), TEST_NOW_S);
	test_is_wrong(&findings, "webhook-certificate", "is valid for 60 minutes");
	findings_done(&findings);
	findings_init(&findings);
	append_authority(TEST_NOW_S + DAY_S, &bundle);
	check_webhook_certificate(&findings, buf_span(&bundle), TEST_NOW_S);
	test_is_well(&findings, "webhook-certificate");
	check_webhook_certificate(&findings, SPAN_LITERAL("none"), TEST_NOW_S);
	assert_int_equal(findings.num_wrong, 1);
	findings_done(&findings);
}

static void clocks_agree_within_a_minute(void **state)
{
	struct findings findings;
	(void)state;
	findings_init(&findings);
	check_clock(&findings, "the API server", 1000, 1059);
	assert_int_equal(findings.num_wrong, 0);
	check_clock(&findings, "the API server", 1000, 940);
	assert_int_equal(findings.num_wrong, 1);
	findings_done(&findings);
	findings_init(&findings);
	check_clock(&findings, "replica a", 1000, 1090);
	test_is_wrong(&findings, "clock", "the clock of replica a is 90 s behind that of this machine");
	findings_done(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_root_is_wrong_from_30_days_before_its_end),
		cmocka_unit_test(what_is_not_measured_is_not_judged),
		cmocka_unit_test(the_last_authority_of_the_webhook_counts),
		cmocka_unit_test(clocks_agree_within_a_minute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
