#include "base/core/clock.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/net/tcp_table.h"
#include "control/serve/operator_port.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

struct fixture {
	struct loop *loop;
	struct limited_log *lines;
	struct addr at;
	unsigned num_connected;
};

static void on_connect(void *arg, int fd, const struct addr *peer)
{
	struct fixture *fixture = arg;
	assert_int_equal(peer->ip.family, AF_INET);
	fixture->num_connected++;
	fd_close(fd);
}

static void on_pause(_unused_ void *arg, _unused_ bool paused)
{
	fail();
}

static struct operator_port *open_port(struct fixture *fixture, int table_fd)
{
	const struct socket_listen_options listen = {0};
	const struct addr any = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}};
	int fd;
	*fixture = (struct fixture){.loop = loop_new(&clock_system)};
	fixture->lines = limited_log_new(fixture->loop, "audit");
	assert_int_equal(socket_listen(&any, &listen, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &fixture->at), ERR_NONE);
	const struct operator_port_options options = {
		fixture->loop, fd, table_fd, fixture->lines, on_connect, on_pause, fixture};
	return operator_port_new(&options);
}

static void done(struct fixture *fixture, struct operator_port *port)
{
	operator_port_free(port);
	limited_log_free(fixture->lines);
	loop_free(fixture->loop);
}

/* Whether it ends without an answer. */
static void connect_once(struct fixture *fixture)
{
	const struct socket_connect_options options = {0};
	_cleanup_fd_ int fd = -1;
	uint8_t byte;
	assert_int_equal(socket_connect(&fixture->at, &options, &fd), ERR_NONE);
	ssize_t len = -1;
	while (len < 0) {
		loop_run_once(fixture->loop, false);
		len = read(fd, &byte, 1);
	}
	assert_int_equal(len, 0);
}

static void K40_a_connection_of_root_is_taken_and_one_of_another_user_is_closed(_unused_ void **state)
{
	struct fixture fixture;
	struct operator_port *port = open_port(&fixture, tcp_table_open());
	connect_once(&fixture);
	assert_int_equal(fixture.num_connected, geteuid() == 0 ? 1 : 0);
	if (geteuid() == 0) {
		assert_int_equal(seteuid(65533), 0); /* a socket is that of the user who makes it */
		connect_once(&fixture);
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(fixture.num_connected, 1);
	}
	done(&fixture, port);
}

static void K40_without_the_kernels_table_every_connection_is_closed(_unused_ void **state)
{
	struct fixture fixture;
	struct operator_port *port = open_port(&fixture, -1);
	connect_once(&fixture);
	assert_int_equal(fixture.num_connected, 0);
	done(&fixture, port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(K40_a_connection_of_root_is_taken_and_one_of_another_user_is_closed),
		cmocka_unit_test(K40_without_the_kernels_table_every_connection_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
