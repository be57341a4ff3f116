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
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

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
	struct peer *peer = peer_connect_raw(world);
	struct peer_stream *stream = peer_open_connect(peer);
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
	struct peer *idle = peer_connect_raw(world), *busy = peer_connect_raw(world);
	struct peer_stream *stream = peer_open_connect(busy);
	assert_true(PEER_UNTIL(busy, stream->status == 200));
	assert_true(PEER_UNTIL(idle, world->opened[0] == 2));
	struct peer *third = peer_connect_raw(world);
	struct peer_stream *more = peer_open_connect(third);
	assert_true(PEER_UNTIL(third, more->status == 200));
	assert_true(PEER_UNTIL(idle, idle->has_goaway));
	struct peer *fourth = peer_connect_raw(world); /* both others have a stream */
	assert_true(PEER_UNTIL(fourth, fourth->is_lost));
	assert_false(busy->has_goaway || third->has_goaway);
	assert_non_null(strstr(world->last_failure[0].got, "the limit per address is reached for tunnels"));
	peer_free(idle);
	peer_free(busy);
	peer_free(third);
	peer_free(fourth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_l2_a_source_has_few_handshakes_and_its_oldest_give_way),
		WORLD_TEST(finding_l2_silence_is_borne_for_two_seconds),
		cmocka_unit_test_setup_teardown(
			finding_l4_a_source_has_few_tunnels_and_an_idle_one_gives_way, setup_few, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
