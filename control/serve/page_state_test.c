/* What the operators' page shows of a sidecar that lies: bounded, and counted. */
#include "base/core/test_wait.h"
#include "control/issue/signer.h"
#include "control/serve/serve.h"
#include "control/serve/test_client.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { ROWS = 64, STREAMS = 4 };

/* A report of 64 rows that all have this text. */
static void send_report(struct rpc_call *stream, struct span text)
{
	static const uint8_t ip[] = {192, 0, 2, 1};
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__PeerReport report = HANDFAST__V1__PEER_REPORT__INIT;
	Handfast__V1__SocketAddress address = HANDFAST__V1__SOCKET_ADDRESS__INIT;
	Handfast__V1__SeenPeer peer = HANDFAST__V1__SEEN_PEER__INIT;
	Handfast__V1__SeenPeer *peers[ROWS];
	_cleanup_(buf_done) struct buf message = BUF_INIT(65536);
	address.ip = pb_bytes(span_of(ip, sizeof ip));
	address.port = 80;
	peer.address = &address;
	peer.detail = pb_bytes(text);
	for (size_t i = 0; i < ROWS; i++)
		peers[i] = &peer;
	report.peers = peers;
	report.n_peers = ROWS;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_REPORT;
	up.report = &report;
	assert_int_equal(pb_pack(&up.base, &message), ERR_NONE);
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
}

/* A hello with this health, and a confirmation, which makes this stream the one that stands for its sidecar. */
static void send_health(struct rpc_call *stream, bool is_ready, uint64_t conditions)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT, second = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	Handfast__V1__SidecarHealth health = HANDFAST__V1__SIDECAR_HEALTH__INIT;
	Handfast__V1__TrustAck ack = HANDFAST__V1__TRUST_ACK__INIT;
	_cleanup_(buf_done) struct buf message = BUF_INIT(256), confirmation = BUF_INIT(256);
	hello.protocol_version = 1;
	health.ready = is_ready;
	health.conditions = conditions;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_HELLO;
	up.hello = &hello;
	up.health = &health;
	second.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_ACK;
	second.ack = &ack;
	assert_int_equal(pb_pack(&up.base, &message), ERR_NONE);
	assert_int_equal(pb_pack(&second.base, &confirmation), ERR_NONE);
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
	assert_int_equal(rpc_call_send(stream, buf_span(&confirmation)), ERR_NONE);
}

static json_int_t number_of(const json_t *page, const char *name)
{
	return json_integer_value(json_object_get(page, name));
}

/* The page with so many reports, whether they are kept or not; NULL: not yet. */
static json_t *page_with(const struct world *world, json_int_t num_reports, struct buf *state)
{
	buf_clear(state);
	assert_int_equal(serve_put_state(world->serve, state), ERR_NONE);
	json_t *page = json_loadb((const char *)buf_span(state).ptr, buf_span(state).len, 0, NULL);
	assert_non_null(page);
	if (number_of(page, "num_reports") + number_of(page, "num_reports_left_out") == num_reports)
		return page;
	json_decref(page);
	return NULL;
}

static json_t *wait_for_page(struct world *world, json_int_t num_reports, struct buf *state)
{
	json_t *page = NULL;
	assert_true(
		WAIT_UNTIL((page = page_with(world, num_reports, state)) != NULL, loop_run_once(world->loop, false)));
	return page;
}

static void D40_an_identity_with_many_streams_has_few_rows_and_the_others_are_counted(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf shown = BUF_INIT(6u << 20);
	world_enroll(world);
	world_connect(world);
	for (int i = 0; i < STREAMS; i++)
		send_report(world_open_stream(world), SPAN_LITERAL("denied"));
	json_t *page = wait_for_page(world, STREAMS, &shown);
	assert_int_equal(number_of(page, "num_reports"), STREAMS);
	assert_int_equal(json_array_size(json_object_get(page, "seen")), 128);
	assert_int_equal(number_of(page, "num_seen_left_out"), STREAMS * ROWS - 128);
	assert_int_equal(number_of(page, "num_reports_left_out"), 0);
	json_decref(page);
}

static void D40_control_bytes_and_long_texts_do_not_grow(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf shown = BUF_INIT(6u << 20);
	uint8_t text[700];
	memset(text, 1, sizeof text);
	text[0] = 0xff;
	world_enroll(world);
	world_connect(world);
	send_report(world_open_stream(world), span_of(text, sizeof text));
	json_t *page = wait_for_page(world, 1, &shown);
	const json_t *rows = json_object_get(page, "seen");
	assert_int_equal(json_array_size(rows), ROWS);
	const char *detail = json_string_value(json_object_get(json_array_get(rows, 0), "detail"));
	assert_true(strlen(detail) > 200 && strlen(detail) <= 256);
	assert_int_equal(strspn(detail, "?"), strlen(detail) - 3);
	assert_true(buf_len(&shown) < ROWS * 600);
	json_decref(page);
}

static void D40_a_report_that_is_too_large_is_counted(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf shown = BUF_INIT(6u << 20);
	uint8_t text[800];
	memset(text, 'x', sizeof text);
	world_enroll(world);
	world_connect(world);
	send_report(world_open_stream(world), span_of(text, sizeof text));
	json_t *page = wait_for_page(world, 1, &shown);
	assert_int_equal(json_array_size(json_object_get(page, "seen")), 0);
	assert_int_equal(number_of(page, "num_reports_left_out"), 1);
	json_decref(page);
}

/* The last report counts, whatever its bits are; without one there is none. */
static void D40_the_health_that_a_sidecar_reports_is_in_its_row(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf shown = BUF_INIT(1u << 20);
	world_enroll(world);
	world_connect(world);
	struct rpc_call *stream = world_open_stream(world);
	send_health(stream, true, 1ULL << 9);
	send_health(stream, false, UINT64_MAX);
	send_report(stream, SPAN_LITERAL("denied"));
	json_t *page = wait_for_page(world, 1, &shown);
	const json_t *rows = json_object_get(page, "sidecars");
	assert_int_equal(json_array_size(rows), 1);
	const json_t *row = json_array_get(rows, 0);
	const char *health = json_string_value(json_object_get(row, "health"));
	assert_non_null(health);
	assert_int_equal(strncmp(health, "not ready: condition_0 + no_identity + ", 39), 0);
	assert_non_null(strstr(health, " + condition_63"));
	assert_true(json_is_true(json_object_get(row, "not_ready")));
	json_decref(page);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(D40_an_identity_with_many_streams_has_few_rows_and_the_others_are_counted),
		WORLD_TEST(D40_control_bytes_and_long_texts_do_not_grow),
		WORLD_TEST(D40_a_report_that_is_too_large_is_counted),
		WORLD_TEST(D40_the_health_that_a_sidecar_reports_is_in_its_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
