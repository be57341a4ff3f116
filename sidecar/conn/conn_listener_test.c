#include "base/net/fd.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FRIEND "spiffe://td.test/friend"

static struct addr addr_of_text(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

/* Port 8443 of the workload. */
static void leads_to(struct test_conns *conns, struct addr to)
{
	static struct listeners listeners;
	listeners = (struct listeners){.inbound = {{.port = 8443, .to = to}}, .num_inbound = 1};
	conns->env.listeners = &listeners;
}

/* The kernel knows no original destination. */
static int outbound_to(struct test_conns *conns, const char *destination)
{
	struct tcp_pair pair;
	static struct outbound_listener listener;
	listener = (struct outbound_listener){.to = destination == NULL ? conns->app_at : addr_of_text(destination)};
	tcp_pair_open(&pair);
	conns->is_redirected = false;
	conn_start_outbound_to(&conns->env, pair.far, &pair.near_addr, &listener);
	test_conns_turn(conns);
	return pair.near;
}

/* By the service's name; its address in the mesh networks, NULL: they have none. */
static int outbound_to_service(struct test_conns *conns, const char *address)
{
	static const struct outbound_listener listener = {.to = {.port = 80}, .service = "db"};
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	conns->is_redirected = false;
	conn_start_outbound_to(&conns->env, pair.far, &pair.near_addr, &listener);
	test_conns_turn(conns);
	if (address != NULL)
		test_networks_with_service(conns, "10.0.0.0/8", "db", address);
	test_conns_turn(conns);
	return pair.near;
}

static void a_listener_waits_for_the_address_of_its_service(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = outbound_to_service(conns, NULL);
	assert_null(conns->pool.attempt);
	test_networks_with_service(conns, "10.0.0.0/8", "other", TEST_MESHED_IP);
	test_conns_turn(conns);
	assert_null(conns->pool.attempt);
	test_networks_with_service(conns, "10.0.0.0/8", "db", TEST_MESHED_IP);
	test_conns_turn(conns);
	assert_string_equal(conns->pool.attempt->expected.text, "spiffe://td.test/there");
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	char text[ADDR_TEXT_MAX];
	assert_string_equal(addr_format(&conns->record.destination, text), TEST_MESHED);
}

static void a_service_that_is_not_known_is_named_in_the_reason(void **state)
{
	struct test_conns *conns = *state;
	test_networks_with_service(conns, "10.0.0.0/8", "other", TEST_MESHED_IP);
	_cleanup_fd_ int app = outbound_to_service(conns, NULL);
	test_conns_wait(conns, conns->env.timeouts.resolve + 20);
	assert_int_equal(conns->reason, CLOSE_UNRESOLVED);
	assert_non_null(strstr(conns->detail.got, "the service db"));
	assert_true(test_was_reset(app));
}

static void a_service_at_an_own_port_of_this_host_is_refused(void **state)
{
	struct test_conns *conns = *state;
	own_ports_add(&conns->env.own_ports, 80);
	_cleanup_fd_ int app = outbound_to_service(conns, "127.0.0.1");
	assert_int_equal(conns->reason, CLOSE_LOOP_REFUSED);
}

static void a_listener_leads_to_the_endpoint_of_its_destination(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = outbound_to(conns, TEST_MESHED);
	assert_string_equal(conns->pool.attempt->expected.text, "spiffe://td.test/there");
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	assert_true(test_passes(conns, app, far));
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	assert_true(conns->record.encrypted);
}

static void a_listener_refuses_plaintext_in_every_outbound_mode(void **state)
{
	struct test_conns *conns = *state;
	static const enum outbound_mode modes[] = {OUTBOUND_OFF, OUTBOUND_AUTO, OUTBOUND_REQUIRE};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		conns->snapshot.outbound_mode = modes[i];
		_cleanup_fd_ int app = outbound_to(conns, NULL); /* 127.0.0.1 is outside 10/8 */
		assert_int_equal(conns->num_ended, i + 1);
		assert_int_equal(conns->reason, CLOSE_PLAINTEXT_REFUSED);
		assert_non_null(strstr(conns->detail.fix, "mesh.networks"));
		assert_true(test_was_reset(app));
		assert_int_equal(test_app_accept(conns), -1);
	}
}

static void a_listener_is_encrypted_where_the_outbound_mode_is_off(void **state)
{
	struct test_conns *conns = *state;
	conns->snapshot.outbound_mode = OUTBOUND_OFF;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = outbound_to(conns, TEST_MESHED);
	assert_non_null(conns->pool.attempt);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
}

static void peers_that_dial_the_port_of_a_listener_reach_where_it_leads(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream stream;
	leads_to(conns, conns->app_at);
	conns->env.app_source_v4 = conns->app_at.ip; /* the authority's address is not this host's */
	test_inbound(conns, &stream, "192.0.2.1:8443", FRIEND);
	_cleanup_fd_ int app = test_app_accept(conns);
	assert_true(app >= 0);
	assert_int_equal(stream.status, 200);
	tcp_abort(TAKE_FD(app));
	test_conns_turn(conns);
	assert_true(addr_eq(&conns->record.endpoint, &conns->app_at));
	assert_int_equal(conns->record.destination.port, 8443);
	fd_close(stream.far);
}

static void D32_a_listener_opens_no_way_to_another_address(void **state)
{
	struct test_conns *conns = *state;
	static const char *const authorities[] = {"192.0.2.9:8443", "127.0.0.1:8443", "0.0.0.0:8443"};
	leads_to(conns, conns->app_at);
	for (size_t i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++) {
		struct inbound_stream stream;
		test_inbound(conns, &stream, authorities[i], FRIEND);
		assert_int_equal(conns->reason, CLOSE_NOT_LOCAL);
		assert_int_equal(stream.status, 400);
		assert_int_equal(test_app_accept(conns), -1);
	}
}

static void a_family_without_a_source_is_named(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream stream;
	leads_to(conns, addr_of_text("[::1]:8080"));
	test_inbound(conns, &stream, "192.0.2.1:8443", FRIEND);
	assert_int_equal(conns->reason, CLOSE_CONNECT_FAILED);
	assert_non_null(strstr(conns->detail.fix, "127.0.0.1"));
	assert_int_equal(stream.status, 503);
}

static void announces_to(struct test_conns *conns, uint16_t port)
{
	static struct listeners listeners;
	listeners = (struct listeners){.announced = {port}, .num_announced = 1};
	conns->env.listeners = &listeners;
}

/* The header that the app got: its source port, and its length. */
static unsigned source_port_received(struct test_conns *conns, struct inbound_stream *stream, size_t *out_len)
{
	_cleanup_fd_ int app = test_app_accept(conns);
	uint8_t header[256];
	assert_true(app >= 0);
	ssize_t len = read(app, header, sizeof(header));
	assert_true(len > 28);
	assert_memory_equal(header + 16, stream->remote.ip.bytes, 4);
	*out_len = (size_t)len;
	tcp_abort(TAKE_FD(app));
	test_conns_turn(conns);
	fd_close(stream->far);
	return (unsigned)(header[24] << 8 | header[25]);
}

static void D33_a_peer_names_the_port_of_its_own_address_alone(void **state)
{
	struct test_conns *conns = *state;
	static const struct {
		const char *forwarded;
		unsigned port;
	} cases[] = {{"192.0.2.2:1234", 1234}, {"192.0.2.3:1234", 40000}, {"127.0.0.1:1234", 40000},
		{"[::ffff:192.0.2.9]:1234", 40000}, {NULL, 40000}};
	announces_to(conns, conns->app_at.port);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct inbound_stream stream;
		struct addr forwarded = {.port = 0};
		size_t len;
		if (cases[i].forwarded != NULL)
			forwarded = addr_of_text(cases[i].forwarded);
		test_inbound_forwarded(conns, &stream, &forwarded, FRIEND);
		assert_int_equal(source_port_received(conns, &stream, &len), cases[i].port);
		assert_int_equal(len, 28 + 3 + strlen(FRIEND));
		assert_int_equal(conns->record.bytes_sent, 0); /* the header is none of the caller's */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(a_listener_leads_to_the_endpoint_of_its_destination),
		CONNS_TEST(a_listener_waits_for_the_address_of_its_service),
		CONNS_TEST(a_service_that_is_not_known_is_named_in_the_reason),
		CONNS_TEST(a_service_at_an_own_port_of_this_host_is_refused),
		CONNS_TEST(a_listener_refuses_plaintext_in_every_outbound_mode),
		CONNS_TEST(a_listener_is_encrypted_where_the_outbound_mode_is_off),
		CONNS_TEST(peers_that_dial_the_port_of_a_listener_reach_where_it_leads),
		CONNS_TEST(D32_a_listener_opens_no_way_to_another_address),
		CONNS_TEST(D33_a_peer_names_the_port_of_its_own_address_alone),
		CONNS_TEST(a_family_without_a_source_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
