#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/net/tcp_path.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>
#include <poll.h>
#include <unistd.h>

struct pair {
	int near, far;
};

static bool is_writable(int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLOUT};
	return poll(&polled, 1, 0) == 1 && (polled.revents & POLLOUT) != 0;
}

static void wait_for(int fd, short events)
{
	struct pollfd polled = {.fd = fd, .events = events};
	assert_int_equal(poll(&polled, 1, 5000), 1);
}

static int setup(void **state)
{
	static struct pair pair;
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}}, bound, peer;
	int listening;
	assert_int_equal(socket_listen(&at, NULL, &listening, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(listening, &bound), ERR_NONE);
	assert_int_equal(socket_connect(&bound, NULL, &pair.near), ERR_NONE);
	wait_for(listening, POLLIN);
	assert_int_equal(fd_accept(listening, &peer, &pair.far), ERR_NONE);
	wait_for(pair.near, POLLOUT);
	fd_close(listening);
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;
	fd_close(pair->near);
	fd_close(pair->far);
	return 0;
}

/* Until the other end's window is full and nothing more is taken. */
static size_t fill(int fd)
{
	static const uint8_t block[65536];
	size_t total = 0;
	for (ssize_t len; (len = send(fd, block, sizeof(block), MSG_NOSIGNAL)) > 0;)
		total += (size_t)len;
	return total;
}

static void knows_what_was_acknowledged_and_what_waits(void **state)
{
	struct pair *pair = *state;
	struct tcp_path path = {.rate = 1};
	assert_true(tcp_path_get(pair->near, &path));
	assert_int_equal(path.unsent, 0);
	assert_true(fill(pair->near) > 0);
	assert_true(tcp_path_get(pair->near, &path));
	assert_true(path.unsent > 0);
	assert_true(path.rate > 0);
}

static void a_socket_takes_no_more_than_what_may_be_unsent(void **state)
{
	struct pair *pair = *state;
	struct tcp_path path;
	tcp_path_set_unsent(pair->near, 32768);
	(void)fill(pair->near);
	assert_false(is_writable(pair->near));
	assert_true(tcp_path_get(pair->near, &path));
	assert_in_range(path.unsent, 16384, 32768 + 65536); /* and what one segment holds */
}

static void a_descriptor_of_another_kind_has_no_path(void **state)
{
	(void)state;
	int fds[2];
	struct tcp_path path = {.unsent = 7};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_false(tcp_path_get(fds[0], &path));
	assert_int_equal(path.unsent, 7);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(knows_what_was_acknowledged_and_what_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_takes_no_more_than_what_may_be_unsent, setup, teardown),
		cmocka_unit_test(a_descriptor_of_another_kind_has_no_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
