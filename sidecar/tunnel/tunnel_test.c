#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/tunnel/test_peer.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static bool is_reset(struct world *world, int fd)
{
	char byte;
	for (unsigned i = 0; i < 200; i++) {
		ssize_t len = recv(fd, &byte, 1, 0);
		if (len < 0 && errno == ECONNRESET)
			return true;
		if (len == 0)
			return false;
		world_run(world, 1);
	}
	return false;
}

static bool is_ended(struct world *world, int fd)
{
	char byte;
	for (unsigned i = 0; i < 200; i++) {
		ssize_t len = recv(fd, &byte, 1, 0);
		if (len == 0)
			return true;
		if (len < 0 && errno != EAGAIN)
			return false;
		world_run(world, 1);
	}
	return false;
}

static void D37_carries_bytes_both_ways_unchanged(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_true(world_transfer(world, call->app, far->fd, 3 * 1024 * 1024 + 7));
	assert_true(world_transfer(world, far->fd, call->app, 3 * 1024 * 1024 + 7));
	assert_int_equal(relay_counts(call->relay).to_upstream, 3 * 1024 * 1024 + 7);
	assert_int_equal(relay_counts(call->relay).to_downstream, 3 * 1024 * 1024 + 7);
}

static void sends_the_far_side_the_address_of_the_app(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_true(ip_addr_is_loopback(&far->forwarded.ip));
	assert_int_not_equal(far->forwarded.port, 0);
}

static void carries_many_connections_on_one_tunnel(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < 30; i++)
		(void)world_call(world);
	assert_true(WORLD_UNTIL(world, world->num_fars == 30 && world->calls[29].has_result));
	assert_int_equal(world->opened[true], 1);
	assert_int_equal(world->opened[false], 1);
	for (unsigned i = 0; i < 30; i++)
		assert_true(world_transfer(world, world->calls[i].app, world->fars[i].fd, 1000 + i));
}

static void keeps_half_closes_apart_when_the_caller_ends_first(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(is_ended(world, far->fd));
	assert_true(world_transfer(world, far->fd, call->app, 200000));
	assert_false(call->has_ended);
	assert_int_equal(shutdown(far->fd, SHUT_WR), 0);
	assert_true(is_ended(world, call->app));
	assert_true(WORLD_UNTIL(world, call->has_ended && far->has_ended));
	assert_int_equal(call->end, RELAY_DONE);
	assert_int_equal(far->end, RELAY_DONE);
	world_run(world, 5);
	assert_int_equal(tunnel_pool_num_streams(world->pool), 0);
	assert_int_equal(tunnel_server_num_streams(world->server), 0);
}

static void keeps_half_closes_apart_when_the_called_ends_first(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_int_equal(shutdown(far->fd, SHUT_WR), 0);
	assert_true(is_ended(world, call->app));
	assert_true(world_transfer(world, call->app, far->fd, 200000));
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(WORLD_UNTIL(world, call->has_ended && far->has_ended));
	assert_int_equal(call->end, RELAY_DONE);
}

static void hands_a_reset_by_the_caller_on_as_a_reset(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	tcp_abort(TAKE_FD(call->app));
	assert_true(is_reset(world, far->fd));
	assert_int_equal(call->end, RELAY_RESET_DOWNSTREAM);
	assert_int_equal(far->end, RELAY_RESET_DOWNSTREAM);
}

static void call_and_give_up(struct world *world)
{
	unsigned num_fars = world->num_fars;
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, world->num_fars > num_fars));
	stream_attempt_cancel(call->attempt);
	leg_free(call->downstream);
	fd_close(call->app);
	assert_true(WORLD_UNTIL(world, world->fars[num_fars].was_abandoned));
	world->num_fars = num_fars; /* their places are used again */
	world->num_calls--;
}

static void callers_that_give_up_leave_the_streams_of_others_open(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	world->conduct = FAR_HOLD;
	for (unsigned i = 0; i < 2500; i++)
		call_and_give_up(world);
	assert_false(call->has_ended);
	assert_true(world_transfer(world, call->app, far->fd, 200000));
	assert_int_equal(world->failed[false], 0);
	assert_in_range(world->opened[false], 5, 7); /* one after the other, for each has its share */
}

static void hands_a_reset_by_the_called_on_as_a_reset(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	tcp_abort(TAKE_FD(far->fd));
	assert_true(is_reset(world, call->app));
	assert_int_equal(call->end, RELAY_RESET_UPSTREAM);
	assert_int_equal(world->failed[true], 0); /* the tunnel is well */
}

static size_t fill(struct world *world, int fd)
{
	static const uint8_t block[16384];
	size_t sent = 0;
	for (unsigned idle = 0; idle < 50;) {
		ssize_t len = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		sent += len > 0 ? (size_t)len : 0;
		idle = len > 0 ? 0 : idle + 1;
		if (len <= 0)
			world_run(world, 1);
	}
	return sent;
}

static size_t drain(struct world *world, int fd, size_t expected)
{
	static uint8_t block[65536];
	size_t got = 0;
	for (unsigned idle = 0; idle < 3000 && got < expected;) {
		ssize_t len = recv(fd, block, sizeof(block), 0);
		got += len > 0 ? (size_t)len : 0;
		idle = len > 0 ? 0 : idle + 1;
		if (len <= 0)
			world_wait(world, idle);
	}
	return got;
}

static void T4_readers_that_stop_hold_up_no_other_stream(void **state)
{
	struct world *world = *state;
	struct call *calls[8], *other;
	struct far *fars[8], *other_far;
	size_t sent[8];
	for (unsigned i = 0; i < 8; i++) {
		assert_true(world_connect(world, &calls[i], &fars[i]));
		sent[i] = fill(world, calls[i]->app); /* its far side reads nothing */
		assert_true(sent[i] > 0);
	}
	assert_true(world_connect(world, &other, &other_far));
	assert_true(world_transfer(world, other->app, other_far->fd, 500000));
	assert_true(world_transfer(world, other_far->fd, other->app, 500000));
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(drain(world, fars[i]->fd, sent[i]), sent[i]);
		assert_true(world_transfer(world, fars[i]->fd, calls[i]->app, 1000));
	}
}

static void T6_a_cut_tunnel_ends_every_stream_as_a_reset(void **state)
{
	struct world *world = *state;
	struct call *calls[3];
	struct far *fars[3];
	for (unsigned i = 0; i < 3; i++)
		assert_true(world_connect(world, &calls[i], &fars[i]));
	tunnel_server_free(TAKE_PTR(world->server));
	for (unsigned i = 0; i < 3; i++) {
		assert_true(is_reset(world, calls[i]->app));
		assert_true(is_reset(world, fars[i]->fd));
		assert_int_equal(calls[i]->end, RELAY_RESET_UPSTREAM);
		assert_int_not_equal(calls[i]->detail.err, ERR_NONE);
	}
	assert_int_equal(tunnel_pool_num_streams(world->pool), 0);
	assert_int_equal(world->failed[true], 1);
}

static void keeps_a_silent_tunnel_whose_peer_answers_ping(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	clock_fake_advance(&world->clock, 11000); /* PING and its answer keep it */
	world_run(world, 50);
	clock_fake_advance(&world->clock, 11000);
	world_run(world, 50);
	assert_false(call->has_ended);
	assert_true(world_transfer(world, call->app, far->fd, 100));
}

static void T6_a_peer_that_falls_silent_is_given_up(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct peer *peer = peer_serve_call(world, &call);
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, call->has_result));
	for (unsigned i = 0; i < 6; i++) { /* the peer is not pumped any more */
		clock_fake_advance(&world->clock, 8000);
		world_run(world, 3);
	}
	assert_true(is_reset(world, call->app));
	assert_int_equal(call->detail.err, ERR_TIMEOUT);
	peer_free(peer);
}

static void T6_a_tcp_end_without_close_notify_is_no_end_of_a_stream(void **state)
{
	struct world *world = *state;
	for (unsigned with_reset = 0; with_reset < 2; with_reset++) {
		struct call *call;
		struct peer *peer = peer_serve_call(world, &call);
		peer_answer(peer, &peer->streams[0], "200");
		assert_true(PEER_UNTIL(peer, call->has_result));
		if (with_reset == 1)
			socket_set_reset_on_close(tls_session_fd(peer->tls), true);
		peer_free(peer);
		assert_true(is_reset(world, call->app));
		assert_int_equal(call->end, RELAY_RESET_UPSTREAM);
	}
}

static void T3_a_peer_with_one_byte_windows_gets_its_bytes_and_holds_up_no_other(void **state)
{
	struct world *world = *state;
	struct peer *peer =
		peer_serve(world, world_credentials(world, SERVER_ID), &(struct h2_limits){.stream_window = 1});
	struct call *slow = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	struct call *second = world_call(world); /* on the same tunnel */
	assert_true(PEER_UNTIL(peer, peer->num_streams == 2));
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, slow->has_result));
	assert_int_equal(send(slow->app, "all of these", 12, 0), 12);
	assert_int_equal(send(second->app, "and those", 9, 0), 9);
	assert_true(PEER_UNTIL(peer, buf_len(&peer->streams[0].received) == 12));
	assert_true(PEER_UNTIL(peer, buf_len(&peer->streams[1].received) == 9));
	peer_free(peer);
}

static void closes_a_tunnel_that_is_idle(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_int_equal(shutdown(far->fd, SHUT_WR), 0);
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(WORLD_UNTIL(world, call->has_ended && far->has_ended));
	for (unsigned i = 0; i < 8; i++) {
		clock_fake_advance(&world->clock, 10000);
		world_run(world, 20);
	}
	assert_int_equal(tunnel_pool_num_tunnels(world->pool), 0);
	assert_int_equal(tunnel_server_num_tunnels(world->server), 0);
	assert_int_equal(world->failed[true] + world->failed[false], 0);
	assert_true(world_connect(world, &call, &far));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(D37_carries_bytes_both_ways_unchanged),
		WORLD_TEST(sends_the_far_side_the_address_of_the_app),
		WORLD_TEST(carries_many_connections_on_one_tunnel),
		WORLD_TEST(keeps_half_closes_apart_when_the_caller_ends_first),
		WORLD_TEST(keeps_half_closes_apart_when_the_called_ends_first),
		WORLD_TEST(hands_a_reset_by_the_caller_on_as_a_reset),
		WORLD_TEST(callers_that_give_up_leave_the_streams_of_others_open),
		WORLD_TEST(hands_a_reset_by_the_called_on_as_a_reset),
		WORLD_TEST(T4_readers_that_stop_hold_up_no_other_stream),
		WORLD_TEST(T6_a_cut_tunnel_ends_every_stream_as_a_reset),
		WORLD_TEST(keeps_a_silent_tunnel_whose_peer_answers_ping),
		WORLD_TEST(T6_a_peer_that_falls_silent_is_given_up),
		WORLD_TEST(T6_a_tcp_end_without_close_notify_is_no_end_of_a_stream),
		WORLD_TEST(T3_a_peer_with_one_byte_windows_gets_its_bytes_and_holds_up_no_other),
		WORLD_TEST(closes_a_tunnel_that_is_idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
