#include "sidecar/report/sidecar_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool shows(const struct metrics *metrics, const char *line)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20);
	assert_int_equal(metrics_encode(metrics, &out), ERR_NONE);
	return strstr(buf_cstr(&out), line) != NULL;
}

static void a_connection_is_counted_by_direction_and_reason(void **state)
{
	(void)state;
	struct metrics *metrics = sidecar_metrics_new(2);
	struct metric_shard *shard = metrics_shard(metrics, 1);
	report_conn_begin(shard, REPORT_INBOUND_PLAIN);
	assert_true(shows(metrics, "handfast_connections_active{direction=\"inbound_plain\"} 1\n"));
	report_conn_end(
		shard, &(struct report_end){.direction = REPORT_INBOUND_PLAIN, .reason = CLOSE_PLAINTEXT_REFUSED});
	assert_true(shows(metrics, "handfast_connections_active{direction=\"inbound_plain\"} 0\n"));
	assert_true(shows(metrics,
		"handfast_connections_closed_total{direction=\"inbound_plain\",reason=\"plaintext_refused\"} 1\n"));
	assert_true(shows(metrics, "istio_tcp_connections_closed_total{reporter=\"destination\",connection_security_"
				   "policy=\"none\"} 0\n"));
	sidecar_metrics_check_balance(metrics);
	metrics_free(metrics);
}

static void every_reason_and_every_error_has_a_row_with_its_label(void **state)
{
	(void)state;
	struct metrics *metrics = sidecar_metrics_new(1);
	struct metric_shard *shard = metrics_shard(metrics, 0);
	for (unsigned i = 0; i < NUM_CLOSE_REASONS; i++)
		metric_add(shard, sidecar_metric_closed(REPORT_INBOUND, (enum close_reason)i), i + 1);
	metric_add(shard, sidecar_metric_handshake_failed(true, ERR_MALFORMED), 70);
	metric_add(shard, sidecar_metric_handshake_failed(true, ERR_STATE_DAMAGED), 71);
	metric_add(shard, sidecar_metric_handshake_failed(false, ERR_MALFORMED), 72);
	metric_add(shard, sidecar_metric_handshake_failed(false, ERR_STATE_DAMAGED), 73);
	char line[128];
	for (unsigned i = 0; i < NUM_CLOSE_REASONS; i++) {
		snprintf(line, sizeof(line), "closed_total{direction=\"inbound\",reason=\"%s\"} %u\n",
			close_reason_label((enum close_reason)i), i + 1);
		assert_true(shows(metrics, line));
	}
	assert_true(shows(metrics, "failures_total{direction=\"outbound\",error=\"malformed\"} 70\n"));
	assert_true(shows(metrics, "failures_total{direction=\"outbound\",error=\"state_damaged\"} 71\n"));
	assert_true(shows(metrics, "failures_total{direction=\"inbound\",error=\"malformed\"} 72\n"));
	assert_true(shows(metrics, "failures_total{direction=\"inbound\",error=\"state_damaged\"} 73\n"));
	metrics_free(metrics);
}

static void the_four_metrics_of_istio_are_exported(void **state)
{
	(void)state;
	struct metrics *metrics = sidecar_metrics_new(1);
	struct metric_shard *shard = metrics_shard(metrics, 0);
	report_conn_relay(shard, REPORT_OUTBOUND, true, 7);
	report_conn_end(shard,
		&(struct report_end){
			.direction = REPORT_OUTBOUND, .reason = CLOSE_DONE, .encrypted = true, .was_relayed = true});
	report_conn_bytes(shard, REPORT_OUTBOUND, true, 10, 20);
#define MTLS "{reporter=\"source\",connection_security_policy=\"mutual_tls\"}"
	assert_true(shows(metrics, "istio_tcp_connections_opened_total" MTLS " 1\n"));
	assert_true(shows(metrics, "istio_tcp_connections_closed_total" MTLS " 1\n"));
	assert_true(shows(metrics, "istio_tcp_received_bytes_total" MTLS " 10\n")); /* the request */
	assert_true(shows(metrics, "istio_tcp_sent_bytes_total" MTLS " 20\n"));     /* the response */
	metrics_free(metrics);
}

static void the_gauges_of_tunnels_and_pauses_rise_and_fall(void **state)
{
	(void)state;
	struct metrics *metrics = sidecar_metrics_new(1);
	struct metric_shard *shard = metrics_shard(metrics, 0);
	report_tunnel_open(shard, true, KEY_EXCHANGE_X25519MLKEM768, 30);
	report_tunnel_open(shard, true, KEY_EXCHANGE_P384, 30);
	report_tunnel_close(shard, true);
	report_tunnel_failure(shard, false, ERR_EXPIRED);
	report_listener_paused(shard, true);
	report_listener_paused(shard, false);
	assert_int_equal(metrics_read(metrics, METRIC_TUNNELS_OPEN_OUTBOUND), 1);
	assert_int_equal(metrics_read(metrics, METRIC_TUNNELS_OPENED_OUTBOUND), 2);
	assert_true(shows(
		metrics, "handfast_tunnel_key_exchanges_total{direction=\"outbound\",group=\"X25519MLKEM768\"} 1\n"));
	assert_true(shows(metrics, "handfast_tunnel_key_exchanges_total{direction=\"outbound\",group=\"P-384\"} 1\n"));
	assert_true(shows(metrics, "handfast_tunnel_key_exchanges_total{direction=\"inbound\",group=\"P-384\"} 0\n"));
	assert_int_equal(metrics_read(metrics, METRIC_TUNNELS_FAILED_INBOUND), 1);
	assert_int_equal(metrics_read(metrics, sidecar_metric_handshake_failed(false, ERR_EXPIRED)), 1);
	assert_int_equal(metrics_read(metrics, METRIC_LISTENERS_PAUSED), 0);
	assert_int_equal(metrics_read(metrics, METRIC_LISTENER_PAUSES), 1);
	report_tunnel_close(shard, true);
	sidecar_metrics_check_balance(metrics);
	metrics_free(metrics);
}

static void a_refusal_has_the_row_of_its_resource_and_limit(void **state)
{
	(void)state;
	static const char *const resources[] = {"connections", "handshakes", "tunnels"};
	for (unsigned what = 0; what < 3; what++)
		for (unsigned limit = SHARE_LIMIT_NONE + 1; limit < NUM_SHARE_LIMITS; limit++) {
			struct metrics *metrics = sidecar_metrics_new(1);
			_cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20);
			char row[128];
			report_limit(metrics_shard(metrics, 0), (enum report_resource)what, (enum share_limit)limit);
			assert_int_equal(metrics_encode(metrics, &out), ERR_NONE);
			snprintf(row, sizeof(row), "handfast_limit_refusals_total{resource=\"%s\",limit=\"%s\"} 1\n",
				resources[what], share_limit_label((enum share_limit)limit));
			assert_non_null(strstr(buf_cstr(&out), row));
			metrics_free(metrics);
		}
}

/* The table is edited by hand: rows of one name must be adjacent and of one kind. */
static void every_metric_has_one_help_line(void **state)
{
	(void)state;
	struct metrics *metrics = sidecar_metrics_new(1);
	_cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20);
	assert_int_equal(metrics_encode(metrics, &out), ERR_NONE);
	const char *text = buf_cstr(&out);
	for (const char *type = strstr(text, "# TYPE "); type != NULL; type = strstr(type + 1, "# TYPE ")) {
		char family[128];
		size_t len = strcspn(type + 7, " ");
		assert_in_range(len, 1, sizeof(family) - 10);
		snprintf(family, sizeof(family), "# TYPE %.*s ", (int)len, type + 7);
		assert_null(strstr(type + 1, family));
	}
	assert_null(strstr(text, "# HELP  "));
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_counted_by_direction_and_reason),
		cmocka_unit_test(every_reason_and_every_error_has_a_row_with_its_label),
		cmocka_unit_test(the_four_metrics_of_istio_are_exported),
		cmocka_unit_test(the_gauges_of_tunnels_and_pauses_rise_and_fall),
		cmocka_unit_test(a_refusal_has_the_row_of_its_resource_and_limit),
		cmocka_unit_test(every_metric_has_one_help_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
