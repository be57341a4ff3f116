#include "certs/expiry.h"
#include "certs/test_mesh.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the three above */
#include <cmocka.h>

static const struct metric_row headings[2] = {
	{METRIC_GAUGE, "end_seconds", "", "The end."}, {METRIC_GAUGE, "start_seconds", "", "The start."}};

static void each_certificate_has_a_row_of_its_end_and_one_of_its_start(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(4096);
	struct test_cert_spec spec = test_ca_spec("root");
	struct test_cert *root = test_cert_new(&spec, NULL);
	const struct cert_expiry rows[] = {{"root", "td.test", test_cert_der(root)}, {"svid", "td.test", {0}}};
	assert_int_equal(cert_expiry_encode(headings, rows, 2, &text), ERR_NONE);
	const char *page = buf_cstr(&text);
	assert_non_null(strstr(page, "# HELP end_seconds The end.\n# TYPE end_seconds gauge\nend_seconds{kind=\"root\","
				     "trust_domain=\"td.test\",sha256=\""));
	assert_non_null(strstr(page, "\nstart_seconds{kind=\"root\""));
	assert_null(strstr(page, "svid")); /* no certificate */
	test_cert_free(root);
}

static void more_rows_than_fit_are_an_error(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(16);
	assert_int_equal(cert_expiry_encode(headings, NULL, 0, &text), ERR_LIMIT);
}

static void a_short_life_counts_by_its_quarter(_unused_ void **state)
{
	assert_int_equal(cert_expiry_margin_s("svid", 0, LEAF_BACKDATE_S + 3600, 86400), 900);
	assert_int_equal(
		cert_expiry_margin_s("svid", 0, LEAF_BACKDATE_S + 4, 86400), 1); /* renewed with 2 s left: not late */
	assert_int_equal(cert_expiry_margin_s("svid", 0, 365 * 86400, 30 * 86400), 30 * 86400);
	assert_int_equal(cert_expiry_margin_s("svid", 100, 100, 60), 0);
	assert_int_equal(cert_expiry_margin_s("intermediate", 0, INTERMEDIATE_BACKDATE_S + 120, 86400), 30);
	assert_int_equal(cert_expiry_margin_s("webhook", 0, WEBHOOK_BACKDATE_S + 3600, INT64_MAX), 900);
	assert_int_equal(cert_expiry_margin_s("root", 0, ROOT_BACKDATE_S + 9 * 86400, 30 * 86400), 30 * 86400);
	assert_int_equal(cert_expiry_margin_s("next_bootstrap_root", 0, ROOT_BACKDATE_S, 5), 5);
	assert_int_equal(cert_expiry_margin_s("retired_root", 0, ROOT_BACKDATE_S, 5), INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_certificate_has_a_row_of_its_end_and_one_of_its_start),
		cmocka_unit_test(more_rows_than_fit_are_an_error),
		cmocka_unit_test(a_short_life_counts_by_its_quarter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
