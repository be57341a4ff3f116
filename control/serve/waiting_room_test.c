#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/core/span.h"
#include "base/net/fd.h"
#include "control/serve/waiting_room.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { PLACES = 400, MANY = 300 };
#define STRANGER "203.0.113.9"
#define HELLO    "a hello"
#define PATIENT  "a hello with " WAITING_ROOM_SIGN

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct waiting_room *room;
	unsigned may_begin; /* so many more */
	bool are_only_patient, has_stranger_enough;
	struct ip_addr turns[PLACES];
	unsigned num_turns, num_ends[3];
	int fds[PLACES]; /* the clients' ends */
	unsigned num_fds;
};

static enum waiting_answer may_begin(void *arg, const struct addr *from, bool is_patient)
{
	struct world *world = arg;
	struct ip_addr stranger;
	assert_int_equal(ip_addr_parse(span_of_str(STRANGER), &stranger), ERR_NONE);
	if (world->may_begin == 0 || (world->are_only_patient && !is_patient))
		return WAITING_ON;
	if (world->has_stranger_enough && ip_addr_eq(&from->ip, &stranger))
		return WAITING_PASS;
	world->may_begin--;
	return WAITING_BEGIN;
}

static void on_turn(void *arg, int fd, const struct addr *from)
{
	struct world *world = arg;
	assert_true(world->num_turns < PLACES);
	world->turns[world->num_turns++] = from->ip;
	fd_close(fd);
}

static void on_end(void *arg, enum waiting_end end, _unused_ const struct addr *from)
{
	((struct world *)arg)->num_ends[end]++;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, 0);
	world->loop = loop_new(&world->clock.clock);
	const struct waiting_room_options options = {world->loop, PLACES, may_begin, on_turn, on_end, world};
	world->room = waiting_room_new(&options);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	waiting_room_free(world->room);
	for (unsigned i = 0; i < world->num_fds; i++)
		close(world->fds[i]);
	loop_free(world->loop);
	mem_free(world);
	return 0;
}

static void pass(struct world *world, uint64_t ms)
{
	for (uint64_t passed = 0; passed <= ms; passed += 50) {
		clock_fake_advance(&world->clock, ms == 0 ? 0 : 50);
		for (int i = 0; i < 8; i++)
			loop_run_once(world->loop, false);
	}
}

/* The client's end. */
static int come(struct world *world, const char *source, const char *bytes, uint32_t places)
{
	int fds[2];
	struct addr from = {0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(ip_addr_parse(span_of_str(source), &from.ip), ERR_NONE);
	assert_int_equal(send(fds[0], bytes, strlen(bytes), 0), (ssize_t)strlen(bytes));
	waiting_room_enter(world->room, fds[1], &from, places);
	world->fds[world->num_fds++] = fds[0];
	return fds[0];
}

static bool is_closed(int fd)
{
	struct pollfd poll_ = {.fd = fd, .events = POLLRDHUP};
	return poll(&poll_, 1, 0) > 0;
}

static void expect_turn(const struct world *world, unsigned number, const char *source)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(source), &ip), ERR_NONE);
	assert_true(world->num_turns > number);
	assert_true(ip_addr_eq(&world->turns[number], &ip));
}

static void one_that_comes_alone_begins_at_once(void **state)
{
	struct world *world = *state;
	world->may_begin = 1;
	come(world, "192.0.2.1", HELLO, PLACES);
	pass(world, 0);
	expect_turn(world, 0, "192.0.2.1");
	assert_int_equal(waiting_room_num(world->room), 0);
}

static void C10_a_silent_one_takes_no_turn_from_others_and_ends(void **state)
{
	struct world *world = *state;
	world->may_begin = 1;
	int silent = come(world, "203.0.113.1", "", PLACES);
	come(world, "192.0.2.1", HELLO, PLACES);
	pass(world, 0);
	expect_turn(world, 0, "192.0.2.1");
	pass(world, 4800);
	assert_false(is_closed(silent));
	pass(world, 300);
	assert_true(is_closed(silent));
	assert_int_equal(world->num_ends[WAITING_SILENT], 1);
}

static void the_first_byte_may_come_later(void **state)
{
	struct world *world = *state;
	world->may_begin = 1;
	int fd = come(world, "192.0.2.1", "", PLACES);
	pass(world, 1000);
	assert_int_equal(world->num_turns, 0);
	assert_int_equal(send(fd, HELLO, 7, 0), 7);
	pass(world, 0);
	assert_int_equal(world->num_turns, 1);
}

static void C12_a_strangers_many_connections_delay_another_source_by_one(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < MANY; i++)
		come(world, STRANGER, PATIENT, PLACES);
	pass(world, 0);
	come(world, "192.0.2.1", PATIENT, PLACES);
	world->may_begin = 2;
	pass(world, 50);
	assert_int_equal(world->num_turns, 2);
	expect_turn(world, 0, STRANGER);
	expect_turn(world, 1, "192.0.2.1");
}

static void finding_i14_all_have_their_turn_in_the_order_in_which_they_came(void **state)
{
	static const char *const sources[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
	struct world *world = *state;
	for (int i = 0; i < 4; i++)
		come(world, sources[i], PATIENT, PLACES);
	for (unsigned i = 0; i < 4; i++) {
		pass(world, 3000);
		assert_int_equal(world->num_turns, i);
		world->may_begin = 1;
		pass(world, 50);
		expect_turn(world, i, sources[i]);
	}
}

static void C12_in_a_full_room_the_source_with_most_gives_way(void **state)
{
	struct world *world = *state;
	int first = come(world, STRANGER, PATIENT, 10);
	for (int i = 1; i < 10; i++)
		come(world, STRANGER, PATIENT, 10);
	assert_true(is_closed(come(world, STRANGER, PATIENT, 10)));
	assert_false(is_closed(first));
	assert_int_equal(world->num_ends[WAITING_FULL], 1);
	assert_false(is_closed(come(world, "192.0.2.1", PATIENT, 10)));
	assert_true(is_closed(first));
	assert_int_equal(world->num_ends[WAITING_FULL], 2);
	assert_int_equal(waiting_room_num(world->room), 10);
}

/* One who has a /64 fills the room from as many addresses. */
static void C12_addresses_of_one_network_give_way_together(void **state)
{
	struct world *world = *state;
	char source[64];
	for (unsigned i = 0; i < 10; i++) {
		(void)snprintf(source, sizeof source, "2001:db8::%x", i + 1);
		come(world, source, PATIENT, 10);
	}
	assert_false(is_closed(come(world, "2001:db8:0:1::1", PATIENT, 10)));
	assert_int_equal(world->num_ends[WAITING_FULL], 1);
	world->may_begin = 2;
	pass(world, 0);
	expect_turn(world, 1, "2001:db8:0:1::1");
}

static unsigned num_notices(int fd)
{
	uint8_t bytes[6 * 64];
	ssize_t len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	assert_true(len <= 0 || len % 6 == 0);
	for (ssize_t i = 0; i < len; i += 6)
		assert_memory_equal(bytes + i, "\x14\x03\x03\x00\x01\x01", 6); /* RFC 8446 5 */
	return len < 0 ? 0 : (unsigned)len / 6;
}

static void one_that_waits_is_notified_that_its_server_runs(void **state)
{
	struct world *world = *state;
	int fd = come(world, "192.0.2.1", PATIENT, PLACES);
	pass(world, 0);
	assert_int_equal(num_notices(fd), 0);
	pass(world, 100);
	assert_int_equal(num_notices(fd), 1);
	pass(world, 10000);
	assert_in_range(num_notices(fd), 4, 5);
	world->may_begin = 1;
	pass(world, 50);
	assert_int_equal(world->num_turns, 1);
}

static void none_waits_longer_than_a_client_does(void **state)
{
	struct world *world = *state;
	int fd = come(world, "192.0.2.1", PATIENT, PLACES);
	pass(world, 49000);
	assert_false(is_closed(fd));
	pass(world, 4000);
	assert_true(is_closed(fd));
	assert_int_equal(world->num_ends[WAITING_LATE], 1);
}

static void one_that_does_not_show_that_it_waits_is_closed_soon_and_gets_no_byte(void **state)
{
	struct world *world = *state;
	int fd = come(world, "192.0.2.1", HELLO, PLACES);
	pass(world, 400);
	assert_false(is_closed(fd));
	pass(world, 150);
	assert_true(is_closed(fd));
	assert_int_equal(num_notices(fd), 0);
	assert_int_equal(world->num_ends[WAITING_LATE], 1);
}

static void C12_one_that_does_not_wait_delays_none_behind_it(void **state)
{
	struct world *world = *state;
	world->are_only_patient = true;
	int fd = come(world, STRANGER, HELLO, PLACES);
	come(world, "192.0.2.1", PATIENT, PLACES);
	world->may_begin = 2;
	pass(world, 0);
	assert_true(is_closed(fd));
	assert_int_equal(world->num_turns, 1);
	expect_turn(world, 0, "192.0.2.1");
}

/* Its handshakes are stuck and fill what is under way. */
static void C12_a_stranger_that_has_to_wait_delays_no_other_source(void **state)
{
	struct world *world = *state;
	world->has_stranger_enough = true;
	world->may_begin = 1;
	for (int i = 0; i < MANY; i++)
		come(world, STRANGER, PATIENT, PLACES);
	pass(world, 0);
	assert_int_equal(world->num_turns, 0);
	come(world, "192.0.2.1", PATIENT, PLACES);
	pass(world, 50);
	assert_int_equal(world->num_turns, 1);
	expect_turn(world, 0, "192.0.2.1");
	world->has_stranger_enough = false;
	world->may_begin = 1;
	pass(world, 50);
	expect_turn(world, 1, STRANGER);
}

static void no_handshake_begins_for_one_that_has_gone(void **state)
{
	struct world *world = *state;
	int fd = come(world, "192.0.2.1", PATIENT, PLACES);
	come(world, "192.0.2.2", PATIENT, PLACES);
	shutdown(fd, SHUT_RDWR);
	world->may_begin = 2;
	pass(world, 50);
	assert_int_equal(world->num_turns, 1);
	expect_turn(world, 0, "192.0.2.2");
	assert_int_equal(waiting_room_num(world->room), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_that_comes_alone_begins_at_once),
		CASE(C10_a_silent_one_takes_no_turn_from_others_and_ends),
		CASE(the_first_byte_may_come_later),
		CASE(C12_a_strangers_many_connections_delay_another_source_by_one),
		CASE(finding_i14_all_have_their_turn_in_the_order_in_which_they_came),
		CASE(C12_in_a_full_room_the_source_with_most_gives_way),
		CASE(C12_addresses_of_one_network_give_way_together),
		CASE(one_that_waits_is_notified_that_its_server_runs),
		CASE(none_waits_longer_than_a_client_does),
		CASE(one_that_does_not_show_that_it_waits_is_closed_soon_and_gets_no_byte),
		CASE(C12_one_that_does_not_wait_delays_none_behind_it),
		CASE(C12_a_stranger_that_has_to_wait_delays_no_other_source),
		CASE(no_handshake_begins_for_one_that_has_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
