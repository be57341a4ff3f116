#include "base/core/test_wait.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/tunnel/test_peer.h"
#include "sidecar/tunnel/tunnel_server.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

static int setup(void **state)
{
	*state = world_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static struct peer *connect_peer(struct world *world)
{
	return peer_connect(world, test_mesh_credentials(world->mesh, "spiffe://td.test/raw"));
}

#define HEADER(name, value)                                                                                            \
	{                                                                                                              \
		SPAN_LITERAL(name), SPAN_LITERAL(value)                                                                \
	}

static void accepts_a_well_formed_connect(void **state)
{
	struct world *world = *state;
	struct peer *peer = connect_peer(world);
	const struct h2_header headers[] = {
		HEADER(":method", "CONNECT"), HEADER(":authority", "[2001:db8::7]:443"), HEADER("baggage", "x=y")};
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

/* Trailers mean nothing on a tunnel, also while the owner of the server has not answered. */
static void ignores_trailers_before_the_answer(void **state)
{
	struct world *world = *state;
	struct peer *peer = connect_peer(world);
	const struct h2_header headers[] = {HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1:80")};
	const struct h2_header trailers[] = {HEADER("x", "y")};
	world->conduct = FAR_HOLD;
	peer->body = SPAN_LITERAL("early");
	struct peer_stream *stream = peer_open(peer, headers, 2, false);
	assert_int_equal(h2_stream_trailers(peer->h2, stream->id, trailers, 1), ERR_NONE);
	h2_stream_ready(peer->h2, stream->id);
	assert_true(PEER_UNTIL(peer, world->num_fars == 1));
	for (unsigned i = 0; i < 10; i++) {
		world_run(world, 1);
		peer_pump(peer);
	}
	assert_int_equal(peer->body.len, 0);
	inbound_stream_refuse(world->fars[0].stream, 503, "connect_refused");
	assert_true(PEER_UNTIL(peer, stream->status != 0));
	assert_int_equal(stream->status, 503);
	peer_free(peer);
}

enum taken_back { ROOT, AUTHORITY_BY_LIST, IDENTITY_BY_BAN };

/* What the server trusts once that was taken back from the peers of the other mesh. */
static struct bundle_set *bundles_without(struct world *world, const struct test_mesh *other, enum taken_back what)
{
	static const struct trust_domain domain = {"other.test"};
	struct bundle_set *bundles = bundle_set_new();
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	if (what == ROOT)
		return bundles;
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(other), NULL), ERR_NONE);
	if (what == IDENTITY_BY_BAN) {
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://other.test/raw"), &id, NULL), ERR_NONE);
		bundle_set_ban_id(bundles, &id);
		return bundles;
	}
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = test_mesh_intermediate(other);
	test_crl_make(&spec, test_mesh_root(other), &der);
	assert_int_equal(bundle_set_add_crl(bundles, &domain, buf_span(&der), NULL), ERR_NONE);
	return bundles;
}

static void server_trusts(struct world *world, struct bundle_set *bundles)
{
	world_set_credentials(
		world, false, test_mesh_credentials_until(world->mesh, SERVER_ID, TEST_NOW_S + 3000, bundles));
}

static struct peer *peer_with_a_stream(struct world *world, struct credentials *credentials)
{
	static const struct h2_header headers[] = {HEADER(":method", "CONNECT"), HEADER(":authority", "192.0.2.1:80")};
	struct peer *peer = peer_connect(world, credentials);
	struct peer_stream *stream = peer_open(peer, headers, 2, false);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	return peer;
}

static bool is_served(struct peer *peer, struct far *far)
{
	assert_int_equal(send(far->fd, "x", 1, 0), 1);
	return PEER_UNTIL(peer, buf_len(&peer->streams[0].received) > 0);
}

static void cuts_only_the_tunnels_of(struct world *world, enum taken_back what)
{
	struct test_mesh *other = test_mesh_new("other.test", TEST_NOW_S);
	struct bundle_set *both = bundle_set_new(), *fewer = bundles_without(world, other, what);
	assert_int_equal(bundle_set_add(both, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(both, test_mesh_bundle(other), NULL), ERR_NONE);
	server_trusts(world, both);
	struct peer *keeps = peer_with_a_stream(world, test_mesh_credentials(world->mesh, "spiffe://td.test/raw"));
	struct credentials *theirs =
		test_mesh_credentials_until(other, "spiffe://other.test/raw", TEST_NOW_S + 3000, both);
	struct peer *loses = peer_with_a_stream(world, theirs);
	struct far *kept = &world->fars[0], *lost = &world->fars[1];
	server_trusts(world, both); /* a renewal of our own certificate takes nothing back */
	world_run(world, 20);
	assert_false(kept->has_ended || lost->has_ended);
	server_trusts(world, fewer);
	assert_true(PEER_UNTIL(loses, loses->is_lost && lost->has_ended));
	assert_int_equal(lost->end, RELAY_WITHDRAWN);
	assert_false(kept->has_ended);
	assert_true(is_served(keeps, kept));
	peer_free(keeps);
	peer_free(loses);
	bundle_set_unref(both);
	bundle_set_unref(fewer);
	test_mesh_free(other);
}

static void finding_t7_a_withdrawn_root_cuts_the_tunnels_that_stand_on_it_and_no_other(void **state)
{
	cuts_only_the_tunnels_of(*state, ROOT);
}

static void finding_t7_a_revocation_list_cuts_the_tunnels_of_what_it_names_and_no_other(void **state)
{
	cuts_only_the_tunnels_of(*state, AUTHORITY_BY_LIST);
}

static void finding_t7_a_ban_cuts_the_tunnels_of_that_identity_and_no_other(void **state)
{
	cuts_only_the_tunnels_of(*state, IDENTITY_BY_BAN);
}

static void T2_answers_400_to_what_is_no_connect_and_dials_nothing(void **state)
{
	struct world *world = *state;
	struct peer *peer = connect_peer(world);
	static const struct h2_header get[] = {HEADER(":method", "GET"), HEADER(":scheme", "https"),
		HEADER(":authority", "10.0.0.1:80"), HEADER(":path", "/")};
	static const struct h2_header post[] = {HEADER(":method", "POST"), HEADER(":scheme", "http"),
		HEADER(":authority", "10.0.0.1:80"), HEADER(":path", "/x")};
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
	struct peer *peer = connect_peer(world);
	static const char *const bad[] = {"localhost:80", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:080",
		"2001:db8::1:80", "[2001:db8::1]", "[fe80::1%eth0]:80", "10.0.0.256:80", "010.0.0.1:80", ":80",
		"user@10.0.0.1:80", "10.0.0.1:80/x", "0x7f000001:80"};
	enum { NUM_BAD = sizeof(bad) / sizeof(bad[0]) };
	struct peer_stream *streams[NUM_BAD];
	for (size_t i = 0; i < NUM_BAD; i++) {
		struct h2_header headers[] = {
			HEADER(":method", "CONNECT"), {SPAN_LITERAL(":authority"), span_of_str(bad[i])}};
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
	struct peer *peer = connect_peer(world);
	static const struct h2_header with_path[] = {HEADER(":method", "CONNECT"), HEADER(":scheme", "https"),
		HEADER(":authority", "10.0.0.1:80"), HEADER(":path", "/")};
	static const struct h2_header doubled[] = {
		HEADER(":method", "CONNECT"), HEADER(":authority", "10.0.0.1:80"), HEADER(":authority", "10.0.0.2:80")};
	static const struct h2_header extended[] = {HEADER(":method", "CONNECT"), HEADER(":protocol", "websocket"),
		HEADER(":scheme", "https"), HEADER(":authority", "10.0.0.1:80"), HEADER(":path", "/")};
	static const struct h2_header missing[] = {HEADER(":method", "CONNECT")};
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
	struct peer *peer = connect_peer(world);
	static const struct h2_header headers[] = {HEADER(":method", "CONNECT"), HEADER(":authority", "10.0.0.1:80")};
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
	struct peer *peer = connect_peer(world);
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

/* --- the end of a tunnel --- */

static const struct h2_header to_app[] = {HEADER(":method", "CONNECT"), HEADER(":authority", "10.0.0.1:80")};

static struct credentials *credentials_for_20_s(struct world *world)
{
	struct bundle_set *bundles = bundle_set_new();
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	struct credentials *made =
		test_mesh_credentials_until(world->mesh, "spiffe://td.test/raw", TEST_NOW_S + 20, bundles);
	bundle_set_unref(bundles);
	return made;
}

static void finding_i13_goaway_comes_before_the_peers_certificate_ends(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect(world, credentials_for_20_s(world));
	struct peer_stream *stream = peer_open(peer, to_app, 2, false);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	clock_fake_advance(&world->clock, 13000);
	world_run(world, 3);
	peer_pump(peer);
	assert_false(peer->has_goaway);
	clock_fake_advance(&world->clock, 2000);
	assert_true(PEER_UNTIL(peer, peer->has_goaway));
	clock_fake_advance(&world->clock, 10000); /* it has ended, the stream has not */
	assert_int_equal(send(world->fars[0].fd, "lives", 5, 0), 5);
	assert_true(PEER_UNTIL(peer, buf_len(&stream->received) == 5));
	peer_free(peer);
}

static void finding_i13_a_stream_after_the_end_is_refused_so_that_it_is_opened_again(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect(world, credentials_for_20_s(world));
	clock_fake_advance(&world->clock, 25000);
	struct peer_stream *late = peer_open(peer, to_app, 2, false);
	assert_true(PEER_UNTIL(peer, late->is_closed && peer->has_goaway));
	assert_int_equal(late->status, 0);
	assert_int_equal(late->error, 7);
	assert_int_equal(world->num_fars, 0);
	peer_free(peer);
}

static void finding_t10_a_tunnel_accepted_while_draining_is_served_and_soon_left(void **state)
{
	struct world *world = *state;
	tunnel_server_drain(world->server);
	struct peer *peer = connect_peer(world);
	struct peer_stream *stream = peer_open(peer, to_app, 2, false);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	assert_false(peer->has_goaway);
	clock_fake_advance(&world->clock, 1000);
	assert_true(PEER_UNTIL(peer, peer->has_goaway));
	assert_int_equal(send(world->fars[0].fd, "lives", 5, 0), 5);
	assert_true(PEER_UNTIL(peer, buf_len(&stream->received) == 5));
	peer_free(peer);
}

static void finding_t10_every_tunnel_ends_with_goaway_and_close_notify(void **state)
{
	struct world *world = *state;
	struct peer *peer = connect_peer(world);
	struct peer_stream *stream = peer_open(peer, to_app, 2, false);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	relay_free(TAKE_PTR(world->fars[0].relay));
	tunnel_server_free(TAKE_PTR(world->server));
	assert_true(PEER_UNTIL(peer, peer->is_lost));
	assert_true(peer->has_goaway);
	assert_true(stream->is_closed);
	assert_int_equal(stream->error, 8);
	assert_int_equal(peer->detail.err, ERR_NONE); /* close_notify, no cut */
	peer_free(peer);
}

/* While the clock stands: on a busy machine a wait for bytes would else be the second that a notice lasts. */
static bool arrive(struct peer *peer, unsigned num_fars)
{
	return WAIT_UNTIL(
		peer->world->num_fars == num_fars, (peer_pump(peer), loop_run_once(peer->world->loop, false)));
}

/* Only the notice has reached it: it answers no PING. */
static void finding_l9_the_final_goaway_comes_after_a_second_without_the_ack(void **state)
{
	struct world *world = *state;
	struct peer *peer = connect_peer(world);
	struct peer_stream *stream = peer_open(peer, to_app, 2, false);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	peer->is_deaf = true;
	tunnel_server_drain(world->server);
	struct peer_stream *in_flight = peer_open(peer, to_app, 2, false);
	assert_true(arrive(peer, 2));
	clock_fake_advance(&world->clock, 1100);
	world_run(world, 5);
	struct peer_stream *late = peer_open(peer, to_app, 2, false);
	peer_pump(peer);
	world_run(world, 5);
	assert_int_equal(world->num_fars, 2);
	peer->is_deaf = false;
	assert_true(PEER_UNTIL(peer, late->is_closed && in_flight->status == 200));
	assert_int_equal(late->error, 7);
	peer_free(peer);
}

static int setup_few(void **state)
{
	*state = world_new(&(struct world_options){.limits = {.max_tunnels = 8}});
	return 0;
}

static bool is_closed(int fd)
{
	char byte;
	return read(fd, &byte, 1) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static int connect_silently(struct world *world)
{
	int fd = -1;
	assert_int_equal(socket_connect(&world->at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	world_run(world, 3);
	return fd;
}

/* 256 places, of which one source gets 32: the oldest of its own give way, and a tunnel is made all the same. */
static void finding_l2_a_source_has_few_handshakes_and_its_oldest_give_way(void **state)
{
	struct world *world = *state;
	enum { MANY = 40, MAY = 32 };
	int fds[MANY];
	for (unsigned i = 0; i < MANY; i++)
		fds[i] = connect_silently(world);
	assert_true(WORLD_UNTIL(world, tunnel_server_num_tunnels(world->server) == MAY));
	unsigned num_closed = 0;
	for (unsigned i = 0; i < MANY; i++) {
		num_closed += is_closed(fds[i]);
		assert_int_equal(num_closed, i < MANY - MAY ? i + 1 : MANY - MAY);
	}
	struct peer *peer = connect_peer(world);
	struct peer_stream *stream = peer_open(peer, to_app, 2, false);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	peer_free(peer);
	for (unsigned i = 0; i < MANY; i++)
		fd_close(fds[i]);
}

static void finding_l2_silence_is_borne_for_two_seconds(void **state)
{
	struct world *world = *state;
	_cleanup_fd_ int silent = connect_silently(world), talking = connect_silently(world);
	assert_int_equal(write(talking, "\x16\x03\x01", 3), 3);
	world_run(world, 5);
	clock_fake_advance(&world->clock, 2100);
	world_run(world, 5);
	assert_true(is_closed(silent));
	assert_false(is_closed(talking));
	clock_fake_advance(&world->clock, 5000);
	world_run(world, 5);
	assert_true(is_closed(talking));
}

/* Of 8 tunnels 2 may be of one source; an idle one gives way without loss, one with a stream does not. */
static void finding_l4_a_source_has_few_tunnels_and_an_idle_one_gives_way(void **state)
{
	struct world *world = *state;
	struct peer *idle = connect_peer(world), *busy = connect_peer(world);
	struct peer_stream *stream = peer_open(busy, to_app, 2, false);
	assert_true(PEER_UNTIL(busy, stream->status == 200));
	assert_true(PEER_UNTIL(idle, world->opened[0] == 2));
	struct peer *third = connect_peer(world);
	struct peer_stream *more = peer_open(third, to_app, 2, false);
	assert_true(PEER_UNTIL(third, more->status == 200));
	assert_true(PEER_UNTIL(idle, idle->has_goaway));
	struct peer *fourth = connect_peer(world); /* both others have a stream */
	assert_true(PEER_UNTIL(fourth, fourth->is_lost));
	assert_false(busy->has_goaway || third->has_goaway);
	assert_non_null(strstr(world->last_failure[0].got, "the limit per address is reached for tunnels"));
	peer_free(idle);
	peer_free(busy);
	peer_free(third);
	peer_free(fourth);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_t7_a_withdrawn_root_cuts_the_tunnels_that_stand_on_it_and_no_other),
		WORLD_TEST(finding_t7_a_revocation_list_cuts_the_tunnels_of_what_it_names_and_no_other),
		WORLD_TEST(finding_t7_a_ban_cuts_the_tunnels_of_that_identity_and_no_other),
		WORLD_TEST(accepts_a_well_formed_connect),
		WORLD_TEST(ignores_trailers_before_the_answer),
		WORLD_TEST(T2_answers_400_to_what_is_no_connect_and_dials_nothing),
		WORLD_TEST(T2_D32_answers_400_to_an_authority_that_is_no_address_and_port),
		WORLD_TEST(T2_dials_nothing_for_a_connect_with_scheme_path_or_doubled_authority),
		WORLD_TEST(T1_a_peer_that_only_resets_is_disconnected_and_others_are_not),
		WORLD_TEST(reports_to_the_owner_that_the_peer_gave_up_before_the_answer),
		WORLD_TEST(D31_closes_on_bytes_that_are_no_http2_and_reports_no_stream),
		WORLD_TEST(D1_closes_on_plaintext_and_reports_no_stream),
		WORLD_TEST(gives_up_a_handshake_that_does_not_come),
		WORLD_TEST(C21_takes_no_tunnel_without_an_identity_of_its_own),
		WORLD_TEST(finding_i13_goaway_comes_before_the_peers_certificate_ends),
		WORLD_TEST(finding_i13_a_stream_after_the_end_is_refused_so_that_it_is_opened_again),
		WORLD_TEST(finding_t10_a_tunnel_accepted_while_draining_is_served_and_soon_left),
		WORLD_TEST(finding_t10_every_tunnel_ends_with_goaway_and_close_notify),
		WORLD_TEST(finding_l2_a_source_has_few_handshakes_and_its_oldest_give_way),
		WORLD_TEST(finding_l2_silence_is_borne_for_two_seconds),
		cmocka_unit_test_setup_teardown(
			finding_l4_a_source_has_few_tunnels_and_an_idle_one_gives_way, setup_few, teardown),
		WORLD_TEST(finding_l9_the_final_goaway_comes_after_a_second_without_the_ack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
