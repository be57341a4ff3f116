#include "base/rpc/test_link.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <sys/socket.h>
#include <unistd.h>

static void on_open(void *arg)
{
	((struct test_link_end *)arg)->num_opens++;
}

static void on_goaway(void *arg)
{
	((struct test_link_end *)arg)->num_goaways++;
}

static void on_dead(void *arg, const struct why *why)
{
	struct test_link_end *end = arg;
	end->num_deads++;
	end->detail = *why;
	h2_link_free(TAKE_PTR(end->link));
}

static void on_headers(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers, size_t num_headers,
	bool end_stream)
{
	(void)stream_id, (void)stream, (void)headers, (void)num_headers, (void)end_stream;
	((struct test_link_end *)arg)->num_headers++;
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

static struct h2_link *link_on(
	struct test_link *link, int at, enum h2_role role, struct test_link_end *end, bool always_pings)
{
	return h2_link_new(&(struct h2_link_options){.loop = link->loop,
		.transport = transport_new_plain(TAKE_FD(link->fds[at])),
		.role = role,
		.open_timeout_ms = TEST_LINK_OPEN_TIMEOUT_MS,
		.keepalive_ms = TEST_LINK_KEEPALIVE_MS,
		.always_pings = always_pings,
		.events = &events,
		.arg = end});
}

static int set_up(void **state, bool always_pings)
{
	struct test_link *link = mem_new(struct test_link);
	clock_fake_init(&link->clock, 0);
	link->loop = loop_new(&link->clock.clock);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, link->fds) == 0);
	link->client.link = link_on(link, 0, H2_CLIENT, &link->client, always_pings);
	*state = link;
	return 0;
}

int test_link_set_up(void **state)
{
	return set_up(state, false);
}

int test_link_set_up_always_pinging(void **state)
{
	return set_up(state, true);
}

int test_link_tear_down(void **state)
{
	struct test_link *link = *state;
	h2_link_free(link->client.link);
	h2_link_free(link->server.link);
	if (link->fds[1] >= 0)
		close(link->fds[1]);
	loop_free(link->loop);
	mem_free(link);
	return 0;
}

void test_link_pass(struct test_link *link, uint64_t ms)
{
	for (uint64_t passed = 0; passed <= ms; passed += 10) {
		clock_fake_advance(&link->clock, ms == 0 ? 0 : 10);
		for (int i = 0; i < 5; i++)
			loop_run_once(link->loop, false);
	}
}

void test_link_open_both(struct test_link *link)
{
	link->server.link = link_on(link, 1, H2_SERVER, &link->server, false);
	test_link_pass(link, 0);
	CHECK(h2_link_is_open(link->client.link));
	CHECK(h2_link_is_open(link->server.link));
}
