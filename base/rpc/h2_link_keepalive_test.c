#include "base/core/check.h"
#include "base/rpc/test_link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { FRAME_HEAD = 9, PREFACE = 24, TYPE_PING = 6, TYPE_UNKNOWN = 0xfa }; /* RFC 9113 3.4, 4.1, 5.5, 6.7 */

static void idle_ends_stay_open_by_ping(void **state)
{
	struct test_link *world = *state;
	test_link_open_both(world);
	test_link_pass(world, 10 * TEST_LINK_KEEPALIVE_MS);
	assert_int_equal(world->client.num_deads + world->server.num_deads, 0);
}

static void a_peer_that_answers_no_ping_ends_it(void **state)
{
	struct test_link *world = *state;
	static const uint8_t settings[9] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
	assert_int_equal(write(world->fds[1], settings, sizeof(settings)), sizeof(settings));
	test_link_pass(world, 0);
	assert_true(h2_link_is_open(world->client.link));
	test_link_pass(world, 3 * TEST_LINK_KEEPALIVE_MS + 100);
	assert_int_equal(world->client.num_deads, 1);
	assert_int_equal(world->client.detail.err, ERR_TIMEOUT);
}

/* --- a peer whose frames the test writes --- */

static const uint8_t settings[FRAME_HEAD] = {0, 0, 0, 4, 0, 0, 0, 0, 0}, ignored[FRAME_HEAD] = {0, 0, 0, TYPE_UNKNOWN};

static void peer_writes(struct test_link *link, const uint8_t frame[FRAME_HEAD])
{
	assert_int_equal(write(link->fds[1], frame, FRAME_HEAD), FRAME_HEAD);
	test_link_pass(link, 0);
}

static void open_with_peer(struct test_link *link)
{
	peer_writes(link, settings);
	assert_true(h2_link_is_open(link->client.link));
}

/* Bytes that are no answer to a PING, each half period. */
static void peer_drips(struct test_link *link, unsigned num)
{
	for (unsigned i = 0; i < num && link->client.num_deads == 0; i++) {
		test_link_pass(link, TEST_LINK_KEEPALIVE_MS / 2);
		if (link->client.num_deads == 0)
			peer_writes(link, ignored);
	}
}

/* How many PINGs are among the frames since the last call. */
static unsigned peer_reads_pings(const struct test_link *link)
{
	static uint8_t bytes[64 * 1024];
	unsigned num = 0;
	ssize_t got = read(link->fds[1], bytes, sizeof bytes);
	size_t len = got > 0 ? (size_t)got : 0, at = len >= PREFACE && memcmp(bytes, "PRI", 3) == 0 ? PREFACE : 0;
	while (at + FRAME_HEAD <= len) {
		num += bytes[at + 3] == TYPE_PING;
		at += FRAME_HEAD + ((size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2]);
	}
	assert_int_equal(at, len);
	return num;
}

static void ends_for(const struct test_link *link, const char *got)
{
	assert_int_equal(link->client.num_deads, 1);
	assert_int_equal(link->client.detail.err, ERR_TIMEOUT);
	assert_string_equal(link->client.detail.got, got);
	assert_string_equal(link->client.detail.expected, "an answer to PING");
	assert_string_equal(link->client.detail.fix, "check that the peer runs, and the network to it");
}

/* --- keepalive --- */

static void a_silent_peer_gets_one_ping_and_the_end_is_explained(void **state)
{
	struct test_link *link = *state;
	open_with_peer(link);
	test_link_pass(link, 2 * TEST_LINK_KEEPALIVE_MS + 100);
	assert_int_equal(link->client.num_deads, 0);
	assert_int_equal(peer_reads_pings(link), 1);
	test_link_pass(link, TEST_LINK_KEEPALIVE_MS);
	assert_int_equal(peer_reads_pings(link), 0);
	ends_for(link, "the peer did not answer for 1000 ms");
}

static void while_input_comes_no_ping_is_sent(void **state)
{
	struct test_link *link = *state;
	open_with_peer(link);
	peer_drips(link, 20);
	assert_int_equal(link->client.num_deads, 0);
	assert_int_equal(peer_reads_pings(link), 0);
}

/* Its bytes come, its answer does not. */
static void where_pings_are_always_sent_a_dripping_peer_ends_it(void **state)
{
	struct test_link *link = *state;
	open_with_peer(link);
	peer_drips(link, 6);
	ends_for(link, "the peer did not answer for 1000 ms");
}

/* Sends what the peer, which does not read, has no room for. */
static void fill(struct test_link *link)
{
	static char path[1024];
	int small = 4096;
	memset(path, 'a', sizeof path);
	path[0] = '/';
	const struct h2_header headers[] = {{SPAN_LITERAL(":method"), SPAN_LITERAL("GET")},
		{SPAN_LITERAL(":scheme"), SPAN_LITERAL("https")},
		{SPAN_LITERAL(":path"), span_of(path, sizeof path), .is_unique = true},
		{SPAN_LITERAL(":authority"), SPAN_LITERAL("a")}};
	struct h2_link *client = link->client.link;
	CHECK(setsockopt(transport_fd(h2_link_transport(client)), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
	for (int i = 0; i < 50; i++) {
		int32_t id;
		assert_int_equal(h2_stream_open(h2_link_session(client), headers, 4, true, NULL, &id), ERR_NONE);
	}
	h2_link_flush(client);
	test_link_pass(link, 0);
}

static void a_peer_that_takes_no_bytes_for_a_period_ends_it(void **state)
{
	struct test_link *link = *state;
	open_with_peer(link);
	fill(link);
	test_link_pass(link, TEST_LINK_KEEPALIVE_MS + 100);
	assert_int_equal(link->client.num_deads, 0);
	test_link_pass(link, TEST_LINK_KEEPALIVE_MS);
	ends_for(link, "the peer did not answer for 1000 ms");
}

static void a_peer_that_takes_bytes_late_does_not(void **state)
{
	struct test_link *link = *state;
	static uint8_t bytes[64 * 1024];
	open_with_peer(link);
	fill(link);
	test_link_pass(link, TEST_LINK_KEEPALIVE_MS + 500);
	while (read(link->fds[1], bytes, sizeof bytes) > 0)
		test_link_pass(link, 0);
	peer_writes(link, ignored);
	peer_drips(link, 4);
	assert_int_equal(link->client.num_deads, 0);
}

/* --- a probe --- */

static void a_probe_that_gets_no_answer_ends_it_in_its_own_time(void **state)
{
	struct test_link *link = *state;
	open_with_peer(link);
	h2_link_probe(link->client.link, 300);
	test_link_pass(link, 200);
	assert_int_equal(link->client.num_deads, 0);
	assert_int_equal(peer_reads_pings(link), 1);
	h2_link_probe(link->client.link, 300); /* one is under way: no effect */
	test_link_pass(link, 150);
	assert_int_equal(peer_reads_pings(link), 0);
	ends_for(link, "the peer did not answer for 300 ms");
}

static void a_probe_that_is_answered_changes_nothing(void **state)
{
	struct test_link *link = *state;
	test_link_open_both(link);
	for (int i = 0; i < 5; i++) {
		h2_link_probe(link->client.link, 300);
		test_link_pass(link, 400);
	}
	test_link_pass(link, 5 * TEST_LINK_KEEPALIVE_MS);
	assert_int_equal(link->client.num_deads + link->server.num_deads, 0);
}

/* The answer may be behind a long message. After it the usual period holds. */
static void any_input_is_enough_for_a_probe(void **state)
{
	struct test_link *link = *state;
	open_with_peer(link);
	h2_link_probe(link->client.link, 300);
	test_link_pass(link, 200);
	peer_writes(link, ignored);
	test_link_pass(link, 500);
	assert_int_equal(link->client.num_deads, 0);
	test_link_pass(link, 2 * TEST_LINK_KEEPALIVE_MS);
	ends_for(link, "the peer did not answer for 1000 ms");
}

static void what_is_not_open_is_not_probed(void **state)
{
	struct test_link *link = *state;
	test_link_pass(link, 0);
	h2_link_probe(link->client.link, 100);
	test_link_pass(link, 300);
	assert_int_equal(link->client.num_deads, 0);
	assert_int_equal(peer_reads_pings(link), 0);
	open_with_peer(link);
	h2_link_end(link->client.link, NULL);
	h2_link_probe(link->client.link, 100);
	test_link_pass(link, 300);
	assert_int_equal(link->client.num_deads, 1);
	assert_int_equal(link->client.detail.err, ERR_NONE);
	assert_int_equal(peer_reads_pings(link), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_link_set_up, test_link_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(idle_ends_stay_open_by_ping),
		CASE(a_peer_that_answers_no_ping_ends_it),
		CASE(a_silent_peer_gets_one_ping_and_the_end_is_explained),
		CASE(while_input_comes_no_ping_is_sent),
		cmocka_unit_test_setup_teardown(where_pings_are_always_sent_a_dripping_peer_ends_it,
			test_link_set_up_always_pinging, test_link_tear_down),
		CASE(a_peer_that_takes_no_bytes_for_a_period_ends_it),
		CASE(a_peer_that_takes_bytes_late_does_not),
		CASE(a_probe_that_gets_no_answer_ends_it_in_its_own_time),
		CASE(a_probe_that_is_answered_changes_nothing),
		CASE(any_input_is_enough_for_a_probe),
		CASE(what_is_not_open_is_not_probed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
