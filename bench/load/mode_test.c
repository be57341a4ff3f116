/* The far end and the modes against it, on one loop. */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "bench/load/far_end.h"
#include "bench/load/mode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	struct loop *loop;
	struct addr to;
	struct mode_options options;
	struct mode_result *result;
};

/* A free port: bind to port 0, read the port, close. */
static struct addr free_addr(void)
{
	struct addr any = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}}, chosen;
	int fd;
	assert_int_equal(socket_listen(&any, &(struct socket_listen_options){0}, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &chosen), ERR_NONE);
	fd_close(fd);
	return chosen;
}

/* The far end runs forever: one for all tests, referenced so that the leak checker finds it. */
static struct world far;

static int start_far_end(_unused_ void **state)
{
	far.loop = loop_new(&clock_system);
	far.to = free_addr();
	return far_end_start(far.loop, &far.to, NULL) == ERR_NONE ? 0 : -1;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	*world = far;
	world->result = mem_new(struct mode_result);
	world->options = (struct mode_options){
		.to = far.to,
		.connections = 4,
		.seconds = 1,
		.request_len = 128,
		.response_len = 1024,
		.rate = 500,
		.download_len = 1 << 20,
	};
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	mem_free(world->result);
	mem_free(world);
	return 0;
}

static void keepalive_makes_exactly_the_requested_number(void **state)
{
	struct world *world = *state;
	world->options.count = 100;
	mode_keepalive(world->loop, &world->options, world->result);
	assert_int_equal(world->result->done, 100);
	assert_int_equal(world->result->failed, 0);
	assert_int_equal(world->result->num_bytes, 100 * 1024);
	assert_int_equal(world->result->latency.total, 100);
}

static void connect_opens_one_connection_per_request(void **state)
{
	struct world *world = *state;
	world->options.count = 50;
	mode_connect(world->loop, &world->options, world->result);
	assert_int_equal(world->result->done, 50);
	assert_int_equal(world->result->num_bytes, 50 * 1024);
}

static void failures_end_the_run_instead_of_spinning(void **state)
{
	struct world *world = *state;
	world->options.to = free_addr();
	world->options.seconds = 10;
	mode_connect(world->loop, &world->options, world->result);
	assert_int_equal(world->result->done, 0);
	assert_true(world->result->failed >= 100);
	assert_true(world->result->elapsed_us < 9000000);
}

static void open_keeps_its_rate_while_downloads_run(void **state)
{
	struct world *world = *state;
	world->options.downloads = 2;
	mode_open(world->loop, &world->options, world->result);
	assert_int_equal(world->result->done, 500);
	assert_int_equal(world->result->failed, 0);
	assert_true(world->result->elapsed_us > 900000);
	assert_true(world->result->download_bytes > 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keepalive_makes_exactly_the_requested_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(connect_opens_one_connection_per_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failures_end_the_run_instead_of_spinning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(open_keeps_its_rate_while_downloads_run, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, start_far_end, NULL);
}
