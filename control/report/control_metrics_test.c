#include "control/report/control_metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void shows_every_row_with_its_help(void **state)
{
	(void)state;
	struct metrics *metrics = control_metrics_new();
	_cleanup_(buf_done) struct buf page = BUF_INIT(65536);
	metric_add(metrics_shard(metrics, 0), CONTROL_SVIDS, 3);
	assert_int_equal(metrics_encode(metrics, &page), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&page), "handfast_control_svids_issued_total 3\n"));
	assert_non_null(strstr(buf_cstr(&page), "handfast_control_attestations_total{result=\"limited\"} 0\n"));
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(shows_every_row_with_its_help)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
