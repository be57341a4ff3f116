#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/rpc/h2_link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { KEEPALIVE_MS = 1000, OPEN_TIMEOUT_MS = 500 };

struct end {
	struct h2_link *link;
	unsigned num_opens, num_goaways, num_deads, num_headers;
	enum err err;
	char got[256];
};

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct end client, server;
	int fds[2];
};

static void on_open(void *arg)
{
	((struct end *)arg)->num_opens++;
}

static void on_goaway(void *arg)
{
	((struct end *)arg)->num_goaways++;
}

static void on_dead(void *arg, const struct why *why)
{
	struct end *end = arg;
	end->num_deads++;
	end->err = why->err;
	memcpy(end->got, why->got, sizeof(end->got));
	h2_link_free(TAKE_PTR(end->link));
}

static void on_headers(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers, size_t num_headers,
	bool end_stream)
{
	(void)stream_id, (void)stream, (void)headers, (void)num_headers, (void)end_stream;
	((struct end *)arg)->num_headers++;
}

static void on_data(void *arg, int32_t stream_id, void *stream, struct span bytes)
{
	(void)arg, (void)stream_id, (void)stream, (void)bytes;
}

static void on_end(void *arg, int32_t stream_id, void *stream)
{
	(void)arg, (void)stream_id, (void)stream;
}

static void on_close(void *arg, int32_t stream_id, void *stream, uint32_t error)
{
	(void)arg, (void)stream_id, (void)stream, (void)error;
}

static enum io_result pull(void *arg, void *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	(void)arg, (void)stream, (void)to, (void)cap;
	*out_len = 0;
	return IO_EOF;
}

static const struct h2_link_events events = {.on_open = on_open,
	.on_goaway = on_goaway,
	.on_dead = on_dead,
	.on_headers = on_headers,
	.on_data = on_data,
	.on_end = on_end,
	.on_close = on_close,
	.pull = pull};

static struct h2_link *link_on(struct world *world, int at, enum h2_role role, struct end *end)
{
	return h2_link_new(&(struct h2_link_options){.loop = world->loop,
		.transport = transport_new_plain(TAKE_FD(world->fds[at])),
		.role = role,
		.open_timeout_ms = OPEN_TIMEOUT_MS,
		.keepalive_ms = KEEPALIVE_MS,
		.events = &events,
		.arg = end});
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, 0);
	world->loop = loop_new(&world->clock.clock);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, world->fds) == 0);
	world->client.link = link_on(world, 0, H2_CLIENT, &world->client);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	h2_link_free(world->client.link);
	h2_link_free(world->server.link);
	if (world->fds[1] >= 0)
		close(world->fds[1]);
	loop_free(world->loop);
	mem_free(world);
	return 0;
}

static void pass(struct world *world, uint64_t ms)
{
	for (uint64_t passed = 0; passed <= ms; passed += 10) {
		clock_fake_advance(&world->clock, ms == 0 ? 0 : 10);
		for (int i = 0; i < 5; i++)
			loop_run_once(world->loop, false);
	}
}

static void open_both(struct world *world)
{
	world->server.link = link_on(world, 1, H2_SERVER, &world->server);
	pass(world, 0);
	assert_true(h2_link_is_open(world->client.link));
	assert_true(h2_link_is_open(world->server.link));
}

static void both_ends_open_and_pass_headers(void **state)
{
	struct world *world = *state;
	open_both(world);
	assert_int_equal(world->client.num_opens, 1);
	const struct h2_header headers[] = {{SPAN_LITERAL(":method"), SPAN_LITERAL("GET")},
		{SPAN_LITERAL(":scheme"), SPAN_LITERAL("https")}, {SPAN_LITERAL(":path"), SPAN_LITERAL("/")},
		{SPAN_LITERAL(":authority"), SPAN_LITERAL("a")}};
	int32_t id;
	assert_int_equal(h2_stream_open(h2_link_session(world->client.link), headers, 4, true, NULL, &id), ERR_NONE);
	h2_link_flush(world->client.link);
	pass(world, 0);
	assert_int_equal(world->server.num_headers, 1);
}

static void idle_ends_stay_open_by_ping(void **state)
{
	struct world *world = *state;
	open_both(world);
	pass(world, 10 * KEEPALIVE_MS);
	assert_int_equal(world->client.num_deads + world->server.num_deads, 0);
}

static void a_peer_that_answers_no_ping_ends_it(void **state)
{
	struct world *world = *state;
	static const uint8_t settings[9] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
	assert_int_equal(write(world->fds[1], settings, sizeof(settings)), sizeof(settings));
	pass(world, 0);
	assert_true(h2_link_is_open(world->client.link));
	pass(world, 3 * KEEPALIVE_MS + 100);
	assert_int_equal(world->client.num_deads, 1);
	assert_int_equal(world->client.err, ERR_TIMEOUT);
}

static void a_peer_without_settings_ends_it(void **state)
{
	struct world *world = *state;
	pass(world, OPEN_TIMEOUT_MS + 100);
	assert_int_equal(world->client.err, ERR_TIMEOUT);
	assert_int_equal(world->client.num_opens, 0);
}

static void a_peer_that_speaks_no_http2_ends_it(void **state)
{
	struct world *world = *state;
	assert_int_equal(write(world->fds[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
	pass(world, 0);
	assert_int_equal(world->client.num_deads, 1);
	assert_int_equal(world->client.err, ERR_PROTOCOL);
}

static void the_end_of_one_is_the_end_of_the_other(void **state)
{
	struct world *world = *state;
	open_both(world);
	h2_link_end(world->server.link, NULL);
	assert_int_equal(world->server.num_deads, 0); /* in a task */
	pass(world, 0);
	assert_int_equal(world->server.num_deads, 1);
	assert_int_equal(world->client.num_deads, 1);
	assert_int_equal(world->client.err, ERR_CLOSED);
}

static void reports_goaway(void **state)
{
	struct world *world = *state;
	open_both(world);
	h2_session_shutdown(h2_link_session(world->server.link));
	h2_link_flush(world->server.link);
	pass(world, 0);
	assert_in_range(world->client.num_goaways, 1, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(both_ends_open_and_pass_headers),
		CASE(idle_ends_stay_open_by_ping),
		CASE(a_peer_that_answers_no_ping_ends_it),
		CASE(a_peer_without_settings_ends_it),
		CASE(a_peer_that_speaks_no_http2_ends_it),
		CASE(the_end_of_one_is_the_end_of_the_other),
		CASE(reports_goaway),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
