/* What the server accepts as a stream, and what it refuses. */
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/test_peer.h"
#include "sidecar/tunnel/tunnel_server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void accepts_a_well_formed_connect(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	const struct h2_header headers[] = {PEER_HEADER(":method", "CONNECT"),
		PEER_HEADER(":authority", "[2001:db8::7]:443"), PEER_HEADER("baggage", "x=y")};
	struct peer_stream *stream = peer_open(peer, headers, 3, false);
	world->conduct = FAR_HOLD;
	assert_true(PEER_UNTIL(peer, world->num_fars == 1));
	struct inbound_stream *inbound = world->fars[0].stream;
	char text[ADDR_TEXT_MAX];
	assert_string_equal(addr_format(inbound_stream_authority(inbound), text), "[2001:db8::7]:443");
	assert_int_equal(inbound_stream_local(inbound)->port, world->at.port);
	assert_true(ip_addr_is_loopback(&inbound_stream_remote(inbound)->ip));
	assert_null(inbound_stream_forwarded(inbound));
	assert_true(
		span_eq(spiffe_id_text(svid_id(inbound_stream_peer(inbound))), SPAN_LITERAL("spiffe://td.test/raw")));
	inbound_stream_refuse(world->fars[0].stream, 503, "connect_refused");
	assert_true(PEER_UNTIL(peer, stream->status != 0));
	assert_int_equal(stream->status, 503);
	assert_string_equal(stream->reason, "connect_refused");
	peer_free(peer);
}

static struct peer_stream *open_with_trailers(struct peer *peer)
{
	const struct h2_header headers[] = {
		PEER_HEADER(":method", "CONNECT"), PEER_HEADER(":authority", "192.0.2.1:80")};
	const struct h2_header trailers[] = {PEER_HEADER("x", "y")};
	peer->body = SPAN_LITERAL("early");
	struct peer_stream *stream = peer_open(peer, headers, 2, false);
	assert_int_equal(h2_stream_trailers(peer->h2, stream->id, trailers, 1), ERR_NONE);
	return stream;
}

/* RFC 9113 8.5: no end, but an error of the stream. */
static void T2_resets_a_stream_that_trailers_came_on(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	struct peer_stream *stream = open_with_trailers(peer);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	assert_int_equal(world->num_fars, 1);
	h2_stream_ready(peer->h2, stream->id);
	assert_true(PEER_UNTIL(peer, stream->is_closed && world->fars[0].has_ended));
	assert_int_equal(stream->error, H2_PROTOCOL_ERROR);
	assert_int_equal(world->fars[0].end, RELAY_RESET_DOWNSTREAM);
	assert_false(peer->is_lost);
	peer_free(peer);
}

/* Also while the owner of the server has not answered. */
static void T2_resets_a_stream_that_trailers_came_on_before_the_answer(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	world->conduct = FAR_HOLD;
	struct peer_stream *stream = open_with_trailers(peer);
	assert_true(PEER_UNTIL(peer, world->num_fars == 1));
	h2_stream_ready(peer->h2, stream->id);
	assert_true(PEER_UNTIL(peer, stream->is_closed && world->fars[0].was_abandoned));
	assert_int_equal(stream->error, H2_PROTOCOL_ERROR);
	assert_int_equal(tunnel_server_num_streams(world->server), 0);
	assert_false(peer->is_lost);
	peer_free(peer);
}

static void T2_answers_400_to_what_is_no_connect_and_dials_nothing(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	static const struct h2_header get[] = {PEER_HEADER(":method", "GET"), PEER_HEADER(":scheme", "https"),
		PEER_HEADER(":authority", "10.0.0.1:80"), PEER_HEADER(":path", "/")};
	static const struct h2_header post[] = {PEER_HEADER(":method", "POST"), PEER_HEADER(":scheme", "http"),
		PEER_HEADER(":authority", "10.0.0.1:80"), PEER_HEADER(":path", "/x")};
	struct peer_stream *got = peer_open(peer, get, 4, true), *posted = peer_open(peer, post, 4, false);
	assert_true(PEER_UNTIL(peer, got->is_closed && posted->is_closed));
	assert_int_equal(got->status, 400);
	assert_string_equal(got->reason, "malformed");
	assert_int_equal(posted->status, 400);
	assert_int_equal(world->num_fars, 0);
	assert_int_equal(tunnel_server_num_streams(world->server), 0);
	peer_free(peer);
}

static void T2_D32_answers_400_to_an_authority_that_is_no_address_and_port(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	static const char *const bad[] = {"localhost:80", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:080",
		"2001:db8::1:80", "[2001:db8::1]", "[fe80::1%eth0]:80", "10.0.0.256:80", "010.0.0.1:80", ":80",
		"user@10.0.0.1:80", "10.0.0.1:80/x", "0x7f000001:80"};
	enum { NUM_BAD = sizeof(bad) / sizeof(bad[0]) };
	struct peer_stream *streams[NUM_BAD];
	for (size_t i = 0; i < NUM_BAD; i++) {
		struct h2_header headers[] = {
			PEER_HEADER(":method", "CONNECT"), {SPAN_LITERAL(":authority"), span_of_str(bad[i])}};
		streams[i] = peer_open(peer, headers, 2, false);
	}
	for (size_t i = 0; i < NUM_BAD; i++) {
		assert_true(PEER_UNTIL(peer, streams[i]->is_closed));
		assert_true(streams[i]->status == 400 || (streams[i]->status == 0 && streams[i]->error != 0));
	}
	assert_int_equal(world->num_fars, 0);
	peer_free(peer);
}

static void T2_dials_nothing_for_a_connect_with_scheme_path_or_doubled_authority(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	static const struct h2_header with_path[] = {PEER_HEADER(":method", "CONNECT"), PEER_HEADER(":scheme", "https"),
		PEER_HEADER(":authority", "10.0.0.1:80"), PEER_HEADER(":path", "/")};
	static const struct h2_header doubled[] = {PEER_HEADER(":method", "CONNECT"),
		PEER_HEADER(":authority", "10.0.0.1:80"), PEER_HEADER(":authority", "10.0.0.2:80")};
	static const struct h2_header extended[] = {PEER_HEADER(":method", "CONNECT"),
		PEER_HEADER(":protocol", "websocket"), PEER_HEADER(":scheme", "https"),
		PEER_HEADER(":authority", "10.0.0.1:80"), PEER_HEADER(":path", "/")};
	static const struct h2_header missing[] = {PEER_HEADER(":method", "CONNECT")};
	struct peer_stream *streams[] = {peer_open(peer, with_path, 4, false), peer_open(peer, doubled, 3, false),
		peer_open(peer, extended, 5, false), peer_open(peer, missing, 1, false)};
	for (size_t i = 0; i < 4; i++) {
		assert_true(PEER_UNTIL(peer, streams[i]->is_closed));
		assert_true(streams[i]->status == 400 || streams[i]->error != 0);
	}
	assert_int_equal(world->num_fars, 0);
	assert_false(peer->is_lost); /* the tunnel lives on */
	peer_free(peer);
}

static void T1_a_peer_that_only_resets_is_disconnected_and_others_are_not(void **state)
{
	struct world *world = *state;
	world->conduct = FAR_HOLD;
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, world->num_fars == 1));
	world->num_fars = 2; /* the attacker's go to one place each */
	struct peer *peer = peer_connect_raw(world);
	static const struct h2_header headers[] = {
		PEER_HEADER(":method", "CONNECT"), PEER_HEADER(":authority", "10.0.0.1:80")};
	for (unsigned i = 0; i < 600; i++) { /* all at once: it never reads what we send to it */
		int32_t ids[10];
		for (unsigned k = 0; k < 10; k++)
			if (h2_stream_open(peer->h2, headers, 2, false, NULL, &ids[k]) != ERR_NONE)
				ids[k] = 0;
		peer_pump(peer);
		for (unsigned k = 0; k < 10; k++)
			h2_stream_reset(peer->h2, ids[k], 8);
		peer_pump(peer);
		peer->num_streams = 0;
	}
	assert_true(PEER_UNTIL(peer, peer->is_lost));
	assert_int_equal(world->last_failure[false].err, ERR_LIMIT);
	assert_false(call->has_result);
	assert_non_null(world->fars[0].stream);
	peer_free(peer);
}

static void reports_to_the_owner_that_the_peer_gave_up_before_the_answer(void **state)
{
	struct world *world = *state;
	world->conduct = FAR_HOLD;
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, world->num_fars == 1));
	stream_attempt_cancel(TAKE_PTR(call->attempt));
	assert_true(WORLD_UNTIL(world, world->fars[0].was_abandoned));
	world_run(world, 3);
	assert_int_equal(tunnel_server_num_streams(world->server), 0);
	assert_int_equal(tunnel_pool_num_streams(world->pool), 0);
}

static void D31_closes_on_bytes_that_are_no_http2_and_reports_no_stream(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	size_t len;
	assert_int_equal(
		tls_session_write(peer->tls, SPAN_LITERAL("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &len), IO_DONE);
	assert_int_equal(tls_session_flush(peer->tls), IO_DONE);
	assert_true(PEER_UNTIL(peer, peer->is_lost));
	assert_int_equal(world->num_fars, 0);
	assert_int_equal(world->failed[false], 1);
	peer_free(peer);
}

static void D1_closes_on_plaintext_and_reports_no_stream(void **state)
{
	struct world *world = *state;
	int fd;
	assert_int_equal(socket_connect(&world->at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	world_run(world, 5);
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	assert_true(WORLD_UNTIL(world, world->failed[false] == 1));
	assert_int_equal(tunnel_server_num_tunnels(world->server), 0);
	fd_close(fd);
}

static void gives_up_a_handshake_that_does_not_come(void **state)
{
	struct world *world = *state;
	int fd;
	assert_int_equal(socket_connect(&world->at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	world_run(world, 5);
	assert_int_equal(tunnel_server_num_tunnels(world->server), 1);
	clock_fake_advance(&world->clock, 5100);
	world_run(world, 5);
	assert_int_equal(tunnel_server_num_tunnels(world->server), 0);
	assert_int_equal(world->last_failure[false].err, ERR_TIMEOUT);
	fd_close(fd);
}

static void C21_takes_no_tunnel_without_an_identity_of_its_own(void **state)
{
	struct world *world = *state;
	world_set_credentials(world, false, NULL);
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_TLS_FAILED);
	assert_int_equal(world->last_failure[false].err, ERR_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(accepts_a_well_formed_connect),
		WORLD_TEST(T2_resets_a_stream_that_trailers_came_on),
		WORLD_TEST(T2_resets_a_stream_that_trailers_came_on_before_the_answer),
		WORLD_TEST(T2_answers_400_to_what_is_no_connect_and_dials_nothing),
		WORLD_TEST(T2_D32_answers_400_to_an_authority_that_is_no_address_and_port),
		WORLD_TEST(T2_dials_nothing_for_a_connect_with_scheme_path_or_doubled_authority),
		WORLD_TEST(T1_a_peer_that_only_resets_is_disconnected_and_others_are_not),
		WORLD_TEST(reports_to_the_owner_that_the_peer_gave_up_before_the_answer),
		WORLD_TEST(D31_closes_on_bytes_that_are_no_http2_and_reports_no_stream),
		WORLD_TEST(D1_closes_on_plaintext_and_reports_no_stream),
		WORLD_TEST(gives_up_a_handshake_that_does_not_come),
		WORLD_TEST(C21_takes_no_tunnel_without_an_identity_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
