#include "base/core/cleanup.h"
#include "base/core/metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { OPENED, CLOSED_OK, CLOSED_ERR, ACTIVE, NUM_ROWS };

static const struct metric_row rows[NUM_ROWS] = {
	{METRIC_COUNTER, "test_opened_total", "", "Connections opened."},
	{METRIC_COUNTER, "test_closed_total", "reason=\"ok\"", "Connections closed, by reason."},
	{METRIC_COUNTER, "test_closed_total", "reason=\"err\"", "Not shown."},
	{METRIC_GAUGE, "test_active", "", "Connections open now."},
};

static int set_up(void **state)
{
	*state = metrics_new(rows, NUM_ROWS, 2);
	return 0;
}

static int tear_down(void **state)
{
	metrics_free(*state);
	return 0;
}

static void sums_over_the_shards(void **state)
{
	struct metrics *metrics = *state;
	metric_add(metrics_shard(metrics, 0), OPENED, 2);
	metric_add(metrics_shard(metrics, 1), OPENED, 3);
	metric_add(metrics_shard(metrics, 0), ACTIVE, 5);
	metric_add(metrics_shard(metrics, 0), ACTIVE, -7);
	metric_set(metrics_shard(metrics, 1), ACTIVE, 10);
	metric_set(metrics_shard(metrics, 1), ACTIVE, 4);
	assert_int_equal(metrics_read(metrics, OPENED), 5);
	assert_int_equal(metrics_read(metrics, ACTIVE), 2);
	assert_int_equal(metrics_read(metrics, CLOSED_OK), 0);
}

static void writes_the_text_format_with_one_heading_per_name(void **state)
{
	struct metrics *metrics = *state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	metric_add(metrics_shard(metrics, 0), OPENED, INT64_MAX);
	metric_add(metrics_shard(metrics, 1), CLOSED_ERR, 2);
	metric_add(metrics_shard(metrics, 1), ACTIVE, -1);
	assert_int_equal(metrics_encode(metrics, &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "# HELP test_opened_total Connections opened.\n"
					    "# TYPE test_opened_total counter\n"
					    "test_opened_total 9223372036854775807\n"
					    "# HELP test_closed_total Connections closed, by reason.\n"
					    "# TYPE test_closed_total counter\n"
					    "test_closed_total{reason=\"ok\"} 0\n"
					    "test_closed_total{reason=\"err\"} 2\n"
					    "# HELP test_active Connections open now.\n"
					    "# TYPE test_active gauge\n"
					    "test_active -1\n");
}

static void returns_an_error_when_the_buffer_is_too_small(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(100);
	assert_int_equal(metrics_encode(*state, &out), ERR_LIMIT);
	metrics_free(NULL);
}

enum {
	TEST_SENT,
	METRIC_DURATION_SYMBOLS(TEST_TOOK_OUT) METRIC_DURATION_SYMBOLS(TEST_TOOK_IN) TEST_CPU,
	TEST_WAIT,
	NUM_TEST_ROWS,
};

static const struct metric_row with_durations[] = {
	[TEST_SENT] = {METRIC_COUNTER, "test_sent_total", "", "Sent."},
	METRIC_DURATION_TABLE(TEST_TOOK_OUT, "test_took_seconds", "way=\"out\"", "How long it took.")
		METRIC_DURATION_TABLE(TEST_TOOK_IN, "test_took_seconds", "way=\"in\"",
			"")[TEST_CPU] = {METRIC_COUNTER_MS, "test_cpu_seconds_total", "", "Time used."},
	[TEST_WAIT] = {METRIC_GAUGE_MS, "test_wait_seconds", "", "Time waited."},
};

static void finding_o7_durations_are_a_histogram(_unused_ void **state)
{
	struct metrics *metrics = metrics_new(with_durations, NUM_TEST_ROWS, 2);
	_cleanup_(buf_done) struct buf out = BUF_INIT(8192);
	metric_observe_ms(metrics_shard(metrics, 0), TEST_TOOK_OUT, 0);
	metric_observe_ms(metrics_shard(metrics, 1), TEST_TOOK_OUT, 2);
	metric_observe_ms(metrics_shard(metrics, 1), TEST_TOOK_OUT, 3);
	metric_observe_ms(metrics_shard(metrics, 1), TEST_TOOK_OUT, 60000);
	metric_observe_ms(metrics_shard(metrics, 0), TEST_TOOK_IN, 5000);
	metric_set(metrics_shard(metrics, 0), TEST_CPU, 1234);
	metric_set(metrics_shard(metrics, 1), TEST_WAIT, 5006);
	assert_int_equal(metrics_encode(metrics, &out), ERR_NONE);
	const char *text = buf_cstr(&out);
	static const char *const lines[] = {"# TYPE test_took_seconds histogram\n",
		"\ntest_took_seconds_bucket{way=\"out\",le=\"0.001\"} 1\n", "{way=\"out\",le=\"0.002\"} 2\n",
		"{way=\"out\",le=\"0.005\"} 3\n", "{way=\"out\",le=\"5\"} 3\n", "{way=\"out\",le=\"+Inf\"} 4\n",
		"\ntest_took_seconds_sum{way=\"out\"} 60.005\n", "\ntest_took_seconds_count{way=\"out\"} 4\n",
		"{way=\"in\",le=\"2\"} 0\n", "{way=\"in\",le=\"5\"} 1\n", "\ntest_took_seconds_count{way=\"in\"} 1\n",
		"\ntest_cpu_seconds_total 1.234\n", "# TYPE test_wait_seconds gauge\n", "\ntest_wait_seconds 5.006\n"};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_non_null(strstr(text, lines[i]));
	assert_null(strstr(strstr(text, lines[0]) + 1, lines[0])); /* one heading per name */
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sums_over_the_shards, set_up, tear_down),
		cmocka_unit_test_setup_teardown(writes_the_text_format_with_one_heading_per_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(returns_an_error_when_the_buffer_is_too_small, set_up, tear_down),
		cmocka_unit_test(finding_o7_durations_are_a_histogram),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
