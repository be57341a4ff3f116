#include "base/core/clock.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { MAX_CLIENTS = 8, FD_LIMIT = 64, MAX_HOARD = 64, RETRY_MS = 100 };

/* A listener on an injected clock, its clients, and descriptors that exhaust the limit. */
static struct clock_fake fake;
static struct loop *loop;
static struct listener *listener;
static struct addr at;
static int clients[MAX_CLIENTS], accepted[MAX_CLIENTS], hoard[MAX_HOARD];
static unsigned num_clients, num_accepted, num_hoarded, num_pauses, num_resumes;
static unsigned stop_after; /* on_accept frees or pauses the listener after so many; 0: never */
static bool is_to_free;

static void on_accept(_unused_ void *arg, int fd, const struct addr *peer)
{
	assert_true(ip_addr_is_loopback(&peer->ip));
	accepted[num_accepted++] = fd;
	if (num_accepted != stop_after)
		return;
	if (is_to_free)
		listener_free(TAKE_PTR(listener));
	else
		listener_pause(listener);
}

static void on_pause(_unused_ void *arg, bool paused)
{
	if (paused)
		num_pauses++;
	else
		num_resumes++;
	if (paused && is_to_free)
		listener_free(TAKE_PTR(listener));
}

static void start(void)
{
	struct addr any_port = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}};
	int fd = -1;
	clock_fake_init(&fake, 0);
	loop = loop_new(&fake.clock);
	assert_int_equal(socket_listen(&any_port, NULL, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &at), ERR_NONE);
	listener = listener_new(loop, fd, on_accept, on_pause, NULL);
	loop_run_once(loop, false);
}

static void release_hoard(void)
{
	while (num_hoarded > 0)
		fd_close(hoard[--num_hoarded]);
}

static int set_up(_unused_ void **state)
{
	num_clients = num_accepted = num_hoarded = num_pauses = num_resumes = stop_after = 0;
	is_to_free = false;
	start();
	return 0;
}

static int tear_down(_unused_ void **state)
{
	release_hoard();
	while (num_clients > 0)
		fd_close(clients[--num_clients]);
	while (num_accepted > 0)
		fd_close(accepted[--num_accepted]);
	listener_free(TAKE_PTR(listener));
	loop_free(TAKE_PTR(loop));
	return 0;
}

static void connect_client(void)
{
	int fd = -1;
	assert_int_equal(socket_connect(&at, NULL, &fd), ERR_NONE);
	struct pollfd decided = {.fd = fd, .events = POLLOUT};
	assert_int_equal(poll(&decided, 1, 5000), 1);
	clients[num_clients++] = fd;
}

static void run_out_of_descriptors(void)
{
	for (;;) {
		int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			break;
		assert_true(num_hoarded < MAX_HOARD);
		hoard[num_hoarded++] = fd;
	}
	assert_int_equal(errno, EMFILE);
}

static void run_rounds(unsigned num)
{
	while (num-- > 0)
		loop_run_once(loop, false);
}

static void wait_ms(uint64_t ms)
{
	for (; ms > 0; ms -= RETRY_MS) {
		clock_fake_advance(&fake, RETRY_MS);
		run_rounds(2);
	}
}

static bool is_reset(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	return poll(&pollfd, 1, 0) == 1 && socket_connect_result(fd) == ERR_RESET;
}

static void passes_every_waiting_connection_to_its_owner(_unused_ void **state)
{
	connect_client();
	connect_client();
	connect_client();
	run_rounds(2);
	assert_int_equal(num_accepted, 3);
	assert_int_equal(num_pauses, 0);
}

static void accepts_nothing_while_the_owner_pauses_it(_unused_ void **state)
{
	listener_pause(listener);
	listener_pause(listener);
	connect_client();
	run_rounds(3);
	listener_resume(listener);
	run_rounds(3);
	assert_int_equal(num_accepted, 0); /* pauses nest */
	listener_resume(listener);
	run_rounds(3);
	assert_int_equal(num_accepted, 1);
	assert_int_equal(num_pauses, 0); /* not called for the owner's pauses */
}

static void stops_at_once_when_the_owner_pauses_it_from_a_callback(_unused_ void **state)
{
	stop_after = 2;
	connect_client();
	connect_client();
	connect_client();
	run_rounds(3);
	assert_int_equal(num_accepted, 2);
}

static void held_it_leaves_clients_to_others_until_it_starts(_unused_ void **state)
{
	const struct socket_listen_options first = {.reuse_port = true},
					   held = {.reuse_port = true, .only_binds = true};
	struct addr shared = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}};
	int fd = -1, other = -1;
	assert_int_equal(socket_listen(&shared, &first, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &shared), ERR_NONE);
	assert_int_equal(socket_listen(&shared, &held, &other, NULL), ERR_NONE);
	struct listener *serving = listener_new(loop, fd, on_accept, NULL, NULL),
			*waiting = listener_new(loop, other, on_accept, NULL, NULL);
	listener_hold(waiting);
	at = shared;
	for (unsigned i = 0; i < MAX_CLIENTS; i++) {
		connect_client();
		loop_run_once(loop, false);
	}
	assert_int_equal(num_accepted, MAX_CLIENTS);
	listener_free(serving);
	listener_pause(waiting);
	assert_int_equal(listener_start(waiting, 8), ERR_NONE);
	fd_close(clients[--num_clients]);
	fd_close(accepted[--num_accepted]);
	connect_client();
	loop_run_once(loop, false);
	assert_int_equal(num_accepted, MAX_CLIENTS - 1); /* paused by its owner meanwhile */
	listener_resume(waiting);
	loop_run_once(loop, false);
	assert_int_equal(num_accepted, MAX_CLIENTS);
	listener_free(waiting);
}

static void one_that_accepts_may_be_held_and_start_again(_unused_ void **state)
{
	connect_client();
	run_rounds(3);
	assert_int_equal(num_accepted, 1);
	listener_hold(listener);
	connect_client();
	run_rounds(3);
	assert_int_equal(num_accepted, 1); /* it waits in the backlog */
	assert_int_equal(listener_start(listener, 8), ERR_NONE);
	run_rounds(3);
	assert_int_equal(num_accepted, 2);
}

static void may_be_freed_in_its_accept_callback(_unused_ void **state)
{
	stop_after = 1;
	is_to_free = true;
	connect_client();
	connect_client();
	run_rounds(3);
	assert_int_equal(num_accepted, 1);
	assert_null(listener);
}

static void pauses_when_descriptors_run_out_and_resumes_by_itself(_unused_ void **state)
{
	connect_client();
	run_out_of_descriptors();
	run_rounds(5);
	assert_int_equal(num_accepted, 0);
	assert_int_equal(num_pauses, 1); /* once, and it does not spin */
	wait_ms(3 * RETRY_MS);
	assert_int_equal(num_resumes, 0);
	release_hoard();
	wait_ms(RETRY_MS);
	assert_int_equal(num_resumes, 1);
	assert_int_equal(num_accepted, 1); /* it waited in the backlog */
	assert_int_equal(num_pauses, 1);
}

static void refuses_clients_that_wait_too_long_for_a_descriptor(_unused_ void **state)
{
	connect_client();
	connect_client();
	run_out_of_descriptors();
	run_rounds(2);
	wait_ms(5 * RETRY_MS);
	assert_false(is_reset(clients[0]));
	wait_ms(5 * RETRY_MS);
	assert_true(is_reset(clients[0]));
	assert_true(is_reset(clients[1]));
	release_hoard();
	wait_ms(RETRY_MS);
	assert_int_equal(num_resumes, 1);
	connect_client();
	run_rounds(2);
	assert_int_equal(num_accepted, 1);
}

static void does_not_refuse_clients_while_the_owner_pauses(_unused_ void **state)
{
	connect_client();
	run_out_of_descriptors();
	run_rounds(2);
	listener_pause(listener);
	wait_ms(20 * RETRY_MS);
	assert_false(is_reset(clients[0]));
	release_hoard();
	wait_ms(RETRY_MS);
	assert_int_equal(num_resumes, 1);
	assert_int_equal(num_accepted, 0); /* the owner's pause still holds */
	listener_resume(listener);
	run_rounds(2);
	assert_int_equal(num_accepted, 1);
}

static void may_be_freed_in_its_pause_callback(_unused_ void **state)
{
	is_to_free = true;
	connect_client();
	run_out_of_descriptors();
	run_rounds(3);
	assert_int_equal(num_pauses, 1);
	assert_null(listener);
}

static void finding_i1_pauses_and_refusals_are_counted(_unused_ void **state)
{
	connect_client();
	run_out_of_descriptors();
	run_rounds(2);
	assert_true(listener_is_exhausted(listener));
	assert_int_equal(listener_num_pauses(listener), 1);
	wait_ms(10 * RETRY_MS);
	assert_int_equal(listener_num_refused(listener), 1);
	release_hoard();
	wait_ms(RETRY_MS);
	assert_false(listener_is_exhausted(listener));
	wait_ms(60 * RETRY_MS); /* the episode ends */
	assert_int_equal(listener_num_pauses(listener), 1);
}

/* Landlock forbids the control plane all other paths: the reserve must not need one. */
static bool resumes_without_paths(void)
{
	char folder[] = "/tmp/listenerXXXXXX";
	if (mkdtemp(folder) == NULL || chroot(folder) != 0 || chdir("/") != 0)
		return false;
	set_up(NULL);
	connect_client();
	run_out_of_descriptors();
	run_rounds(2);
	wait_ms(10 * RETRY_MS);
	bool is_refused = is_reset(clients[0]) && num_accepted == 0;
	release_hoard();
	wait_ms(RETRY_MS);
	connect_client();
	run_rounds(2);
	return open("/dev/null", O_RDONLY) < 0 && is_refused && num_accepted == 1 && num_resumes == 1;
}

static void finding_i1_resumes_in_a_process_that_cannot_open_paths(_unused_ void **state)
{
	int status = -1;
	if (geteuid() != 0)
		skip(); /* chroot needs root */
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(resumes_without_paths() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int limit_descriptors(_unused_ void **state)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -1;
	limit.rlim_cur = FD_LIMIT;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

#define LISTENING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LISTENING(passes_every_waiting_connection_to_its_owner),
		LISTENING(accepts_nothing_while_the_owner_pauses_it),
		LISTENING(stops_at_once_when_the_owner_pauses_it_from_a_callback),
		LISTENING(held_it_leaves_clients_to_others_until_it_starts),
		LISTENING(one_that_accepts_may_be_held_and_start_again),
		LISTENING(may_be_freed_in_its_accept_callback),
		LISTENING(pauses_when_descriptors_run_out_and_resumes_by_itself),
		LISTENING(refuses_clients_that_wait_too_long_for_a_descriptor),
		LISTENING(does_not_refuse_clients_while_the_owner_pauses),
		LISTENING(may_be_freed_in_its_pause_callback),
		LISTENING(finding_i1_pauses_and_refusals_are_counted),
		cmocka_unit_test(finding_i1_resumes_in_a_process_that_cannot_open_paths),
	};
	return cmocka_run_group_tests(tests, limit_descriptors, NULL);
}
