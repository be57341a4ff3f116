#include "sidecar/worker/observe.h"

#include "base/net/fd.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct metrics *metrics;
	struct clock_fake clock;
	int ends[2];
	struct observe observe;
	struct conn_observer conns;
	struct tunnel_observer tunnels;
	struct why detail;
	struct access_record record;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){.metrics = sidecar_metrics_new(1)};
	clock_fake_init(&fixture.clock, 1700000000000);
	assert_int_equal(pipe2(fixture.ends, O_CLOEXEC | O_NONBLOCK), 0);
	fixture.observe = (struct observe){
		.shard = metrics_shard(fixture.metrics, 0),
		.log = access_log_new(ACCESS_LOG_FAILURES, 0, fixture.ends[1]),
		.failures = failures_new(8),
		.ports = port_use_new(),
		.dry_runs = dry_runs_new(),
		.peers = peers_new(),
		.clock = &fixture.clock.clock,
	};
	fixture.conns = observe_conns(&fixture.observe);
	fixture.tunnels = observe_tunnels(&fixture.observe);
	(void)why_set(&fixture.detail, ERR_DENIED, "a", "b", "c");
	fixture.record = (struct access_record){.direction = "inbound_plain", .ended_wall_ms = 5, .reason = "denied"};
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	metrics_free(fixture->metrics);
	access_log_free(fixture->observe.log);
	failures_free(fixture->observe.failures);
	port_use_free(fixture->observe.ports);
	dry_runs_free(fixture->observe.dry_runs);
	peers_free(fixture->observe.peers);
	fd_close(fixture->ends[0]);
	fd_close(fixture->ends[1]);
	return 0;
}

static bool has_logged(struct fixture *fixture)
{
	char text[4096];
	return read(fixture->ends[0], text, sizeof(text)) > 0;
}

static void a_refused_connection_is_counted_logged_and_explained(void **state)
{
	struct fixture *fixture = *state;
	struct failure last[8];
	fixture->record.failed = true;
	fixture->record.detail = &fixture->detail;
	fixture->conns.on_begin(fixture->conns.arg, CONN_INBOUND_PLAIN);
	fixture->conns.on_end(fixture->conns.arg, CONN_INBOUND_PLAIN, CLOSE_DENIED, &fixture->record);
	assert_int_equal(metrics_read(fixture->metrics, sidecar_metric_closed(REPORT_INBOUND_PLAIN, CLOSE_DENIED)), 1);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_ACTIVE_INBOUND_PLAIN), 0);
	assert_true(has_logged(fixture));
	assert_int_equal(failures_copy(fixture->observe.failures, last, 8), 1);
	assert_string_equal(last[0].reason, "denied");
	assert_int_equal(last[0].last_wall_ms, 5);
}

static void a_connection_that_ended_in_order_is_counted_and_not_logged(void **state)
{
	struct fixture *fixture = *state;
	struct failure last[8];
	fixture->record.relayed = true;
	fixture->conns.on_bytes(
		fixture->conns.arg, CONN_INBOUND_PLAIN, false, &(struct relay_counts){.to_upstream = 7});
	fixture->conns.on_end(fixture->conns.arg, CONN_INBOUND_PLAIN, CLOSE_DONE, &fixture->record);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_SENT_INBOUND_PLAIN), 7);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_ISTIO_CLOSED_DESTINATION_NONE), 1);
	assert_false(has_logged(fixture));
	assert_int_equal(failures_copy(fixture->observe.failures, last, 8), 0);
}

static void count_ports(void *arg, uint16_t port, bool mesh, bool plaintext)
{
	assert_int_equal(port, 8080);
	assert_true(mesh);
	assert_true(plaintext);
	++*(unsigned *)arg;
}

static void only_inbound_connections_count_for_the_use_of_ports(void **state)
{
	struct fixture *fixture = *state;
	struct addr destination = {.port = 8080}, elsewhere = {.port = 443};
	unsigned num = 0;
	fixture->conns.on_relay(fixture->conns.arg, CONN_OUTBOUND, false, &elsewhere, 7);
	fixture->conns.on_relay(fixture->conns.arg, CONN_INBOUND, true, &destination, 7);
	fixture->conns.on_relay(fixture->conns.arg, CONN_INBOUND_PLAIN, false, &destination, 7);
	fixture->conns.on_retry(fixture->conns.arg);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_RETRIED), 1);
	port_use_each(fixture->observe.ports, count_ports, &num);
	assert_int_equal(num, 1);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_PLAIN_OUTBOUND), 1);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_STREAMS_INBOUND), 1);
}

static void an_endpoint_that_is_set_aside_is_counted_and_explained(void **state)
{
	struct fixture *fixture = *state;
	struct failure last[8];
	const struct addr service = {.port = 80}, endpoint = {.port = 8080};
	fixture->conns.on_outlier(fixture->conns.arg, &service, &endpoint, 1000, &fixture->detail);
	fixture->conns.on_outlier(fixture->conns.arg, &service, &endpoint, 0, NULL); /* it serves again */
	assert_int_equal(metrics_read(fixture->metrics, METRIC_EJECTIONS), 1);
	assert_int_equal(failures_copy(fixture->observe.failures, last, 8), 1);
	assert_string_equal(last[0].what, "endpoint");
	assert_int_equal(last[0].destination.port, 80);
	assert_int_equal(last[0].remote.port, 8080);
	assert_string_equal(last[0].detail.got, "c");
}

static void a_tunnel_that_fails_is_counted_by_its_error_and_explained(void **state)
{
	struct fixture *fixture = *state;
	struct failure last[8];
	struct addr remote = {.port = 15008};
	fixture->detail.err = ERR_WRONG_PEER;
	fixture->tunnels.on_failure(fixture->tunnels.arg, true, &remote, NULL, &fixture->detail);
	fixture->tunnels.on_open(fixture->tunnels.arg, true, KEY_EXCHANGE_P256, 30);
	fixture->tunnels.on_close(fixture->tunnels.arg, true);
	assert_int_equal(metrics_read(fixture->metrics, sidecar_metric_handshake_failed(true, ERR_WRONG_PEER)), 1);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_TUNNELS_OPEN_OUTBOUND), 0);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_KEY_EXCHANGE_OUTBOUND_P256), 1);
	assert_int_equal(failures_copy(fixture->observe.failures, last, 8), 1);
	assert_string_equal(last[0].what, "tunnel");
	assert_string_equal(last[0].direction, "outbound");
}

static void a_failed_handshake_without_a_tunnel_is_counted_as_one_and_not_as_a_tunnel(void **state)
{
	struct fixture *fixture = *state;
	fixture->tunnels.on_direct_failure(fixture->tunnels.arg, ERR_NO_CERTIFICATE);
	assert_int_equal(metrics_read(fixture->metrics, sidecar_metric_handshake_failed(false, ERR_NO_CERTIFICATE)), 1);
	assert_int_equal(metrics_read(fixture->metrics, METRIC_TUNNELS_FAILED_INBOUND), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_refused_connection_is_counted_logged_and_explained),
		TEST(a_connection_that_ended_in_order_is_counted_and_not_logged),
		TEST(only_inbound_connections_count_for_the_use_of_ports),
		TEST(an_endpoint_that_is_set_aside_is_counted_and_explained),
		TEST(a_tunnel_that_fails_is_counted_by_its_error_and_explained),
		TEST(a_failed_handshake_without_a_tunnel_is_counted_as_one_and_not_as_a_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
