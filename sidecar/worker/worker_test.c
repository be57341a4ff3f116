#include "base/core/test_wait.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "certs/test_mesh.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/worker/worker_gather.h"
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { NUM_WORKERS = 2, MAX_CONNECTIONS = 2 };

static atomic_bool is_redirected; /* every connection has the original destination 10.0.0.1:80 */

enum err __wrap_original_dst_get(int fd, const struct addr *peer, struct original_dst *out);
enum err __wrap_original_dst_get(int fd, const struct addr *peer, struct original_dst *out)
{
	(void)fd, (void)peer;
	if (!is_redirected)
		return ERR_NOT_FOUND;
	return addr_parse(span_of_str("10.0.0.1:80"), &out->addr);
}

struct fixture {
	struct loop *loop; /* the main thread's */
	struct tls_context *client, *server;
	struct flow_control_memory *budget;
	struct worker_options options;
	struct worker *workers[NUM_WORKERS];
	atomic_uint num_ended, num_pauses, num_resumes;
	atomic_int reason;
	unsigned num_inspected;
	size_t num_conns;
};

static void on_end(void *arg, enum conn_kind kind, enum close_reason reason, const struct access_record *record)
{
	(void)kind;
	(void)record;
	struct fixture *fixture = arg;
	fixture->reason = (int)reason;
	fixture->num_ended++;
}

static void on_paused(void *arg, bool paused)
{
	struct fixture *fixture = arg;
	if (paused)
		fixture->num_pauses++;
	else
		fixture->num_resumes++;
}

static void on_subscribe(void *arg, const struct addr *destination)
{
	(void)arg;
	(void)destination;
}

static uint16_t free_port(void)
{
	struct addr at;
	fd_close(tcp_listen_any(&at));
	return at.port;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	memset(&fixture, 0, sizeof(fixture));
	is_redirected = false;
	fixture.loop = loop_new(&clock_system);
	fixture.client = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "h2"});
	fixture.server = tls_context_new(&(struct tls_context_options){.role = TLS_SERVER, .alpn = "h2"});
	fixture.budget = flow_control_memory_new(1 << 20);
	fixture.options = (struct worker_options){
		.ports = {free_port(), free_port(), free_port()},
		.conn_limits = {.max = MAX_CONNECTIONS},
		.timeouts = {.resolve = 5000, .connect = 1000},
		.client_context = fixture.client,
		.server_context = fixture.server,
		.budget = fixture.budget,
		.clock = &clock_system,
		.outbound_mode = OUTBOUND_AUTO,
		.conn_observer = {.on_end = on_end, .arg = &fixture},
		.on_paused = on_paused,
		.on_subscribe = on_subscribe,
		.arg = &fixture,
	};
	*state = &fixture;
	return 0;
}

static void worker_make(struct fixture *fixture, unsigned index)
{
	struct why why = {0};
	fixture->options.index = index;
	assert_int_equal(worker_new(&fixture->options, &fixture->workers[index], &why), ERR_NONE);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	for (unsigned i = 0; i < NUM_WORKERS; i++)
		if (fixture->workers[i] != NULL)
			worker_stop(fixture->workers[i]);
	for (unsigned i = 0; i < NUM_WORKERS; i++)
		if (fixture->workers[i] != NULL)
			worker_free(fixture->workers[i]);
	loop_run_once(fixture->loop, false); /* handles their last messages */
	flow_control_memory_free(fixture->budget);
	tls_context_free(fixture->client);
	tls_context_free(fixture->server);
	loop_free(fixture->loop);
	return 0;
}

static int dial(uint16_t port)
{
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = port};
	int fd = -1;
	assert_int_equal(socket_connect(&at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	assert_int_equal(poll(&writable, 1, 5000), 1);
	return fd;
}

static bool is_ended_within(int fd, int ms)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	return poll(&readable, 1, ms) == 1;
}

static void inspect(void *slot, const struct worker_inside *inside)
{
	*(size_t *)slot = conn_table_num(inside->conns);
}

static void on_inspected(void *arg, void *slots, unsigned num)
{
	struct fixture *fixture = arg;
	const size_t *of_workers = slots;
	fixture->num_inspected = num;
	fixture->num_conns = 0;
	for (unsigned i = 0; i < num; i++)
		fixture->num_conns += of_workers[i];
}

static void gather(struct fixture *fixture, unsigned num)
{
	fixture->num_inspected = 0;
	worker_gather(fixture->workers, num, sizeof(size_t), inspect, fixture->loop, on_inspected, fixture);
	while (fixture->num_inspected == 0)
		loop_run_once(fixture->loop, true);
}

static void D33_a_direct_connection_is_reset_on_the_workers_own_thread(void **state)
{
	struct fixture *fixture = *state;
	worker_make(fixture, 0);
	worker_start(fixture->workers[0]);
	_cleanup_fd_ int fd = dial(fixture->options.ports.outbound);
	assert_true(is_ended_within(fd, 5000));
	char byte;
	assert_true(read(fd, &byte, 1) < 0 && errno == ECONNRESET);
	assert_true(WAIT_UNTIL(fixture->num_ended == 1, ));
	assert_int_equal(fixture->reason, CLOSE_NO_ORIGINAL_DST);
}

static void callers_above_the_limit_wait_in_the_backlog_and_are_accepted_when_there_is_room(void **state)
{
	struct fixture *fixture = *state;
	is_redirected = true;
	worker_make(fixture, 0);
	worker_start(fixture->workers[0]);
	int fds[MAX_CONNECTIONS]; /* parked: no networks have arrived */
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		fds[i] = dial(fixture->options.ports.outbound);
	assert_true(WAIT_UNTIL(fixture->num_pauses == 2, )); /* outbound and plain inbound */
	_cleanup_fd_ int waiting = dial(fixture->options.ports.outbound);
	assert_false(is_ended_within(waiting, 50));
	gather(fixture, 1);
	assert_int_equal(fixture->num_conns, MAX_CONNECTIONS);
	assert_int_equal(fixture->num_ended, 0);
	struct mesh_networks *networks =
		mesh_networks_new(0, 0, 1); /* requires mTLS everywhere: parked connections are refused */
	assert_int_equal(network_parse(span_of_str("10.0.0.0/8"), &networks->require_mtls[0]), ERR_NONE);
	worker_set_networks(fixture->workers[0], networks);
	mesh_networks_unref(networks);
	assert_true(WAIT_UNTIL(fixture->num_ended == 3, ));
	assert_true(is_ended_within(waiting, 5000));
	assert_true(fixture->num_resumes >= 2);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		fd_close(fds[i]);
}

static unsigned num_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned num = 0;
	while (readdir(folder) != NULL)
		num++;
	closedir(folder);
	return num;
}

/* The descriptor that listens at this port; -1: none. */
static int find_listening(uint16_t port)
{
	struct addr at;
	for (int fd = 0; fd < 1024; fd++)
		if (socket_local_addr(fd, &at) == ERR_NONE && at.port == port)
			return fd;
	return -1;
}

static void the_kernel_holds_little_for_a_direct_connection_and_more_for_a_tunnel(void **state)
{
	struct fixture *fixture = *state;
	static struct listeners listeners;
	listeners = (struct listeners){.num_inbound = 1};
	listeners.inbound[0].port = free_port();
	listeners.inbound[0].takes_mtls = true;
	fixture->options.listeners = &listeners;
	worker_make(fixture, 0);
	int direct = 0, tunnel = 0;
	socklen_t len = sizeof(direct);
	assert_int_equal(
		getsockopt(find_listening(listeners.inbound[0].port), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &direct, &len),
		0);
	assert_int_equal(getsockopt(find_listening(fixture->options.ports.tunnel), IPPROTO_TCP, TCP_NOTSENT_LOWAT,
				 &tunnel, &len),
		0);
	assert_int_equal(direct, SOCKET_UNSENT_MAX); /* accepted sockets inherit it */
	assert_int_not_equal(tunnel, direct);
}

/* A caller by mutual TLS is redirected to the same port: plaintext that fills its class must not keep it out. */
static void with_direct_listeners_plaintext_above_the_limit_is_refused_and_not_left_waiting(void **state)
{
	struct fixture *fixture = *state;
	static struct listeners listeners;
	listeners = (struct listeners){.num_inbound = 1};
	listeners.inbound[0].port = free_port();
	listeners.inbound[0].takes_mtls = true;
	assert_int_equal(addr_parse(SPAN_LITERAL("127.0.0.1:80"), &listeners.inbound[0].to), ERR_NONE);
	_cleanup_(tls_context_freep) struct tls_context *direct = tls_context_new(
		&(struct tls_context_options){.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_REQUIRED});
	fixture->options.listeners = &listeners;
	fixture->options.direct_context = direct;
	is_redirected = true;
	worker_make(fixture, 0);
	worker_start(fixture->workers[0]);
	int fds[MAX_CONNECTIONS]; /* parked: no networks have arrived */
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		fds[i] = dial(fixture->options.ports.outbound);
	assert_true(WAIT_UNTIL(fixture->num_pauses == 1, )); /* outbound alone */
	_cleanup_fd_ int refused = dial(fixture->options.ports.inbound_plain);
	assert_true(is_ended_within(refused, 5000));
	assert_true(WAIT_UNTIL(fixture->num_ended == 1, ));
	assert_int_equal(fixture->reason, CLOSE_LIMIT_REACHED);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		fd_close(fds[i]);
	worker_stop(fixture->workers[0]);
	worker_free(TAKE_PTR(fixture->workers[0])); /* before the context */
}

static void messages_that_a_worker_did_not_run_are_run_when_it_is_freed(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", time(NULL));
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(mesh, "spiffe://td.test/own");
	struct addr destination = {.port = 1};
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&destination, DESTINATION_PLAINTEXT, 1, 0);
	worker_make(fixture, 0);
	worker_set_credentials(fixture->workers[0], credentials);
	worker_set_credentials(fixture->workers[0], NULL);
	worker_put_answer(fixture->workers[0], answer);
	worker_drain(fixture->workers[0]);
	worker_gather(fixture->workers, 1, sizeof(size_t), inspect, fixture->loop, on_inspected, fixture);
	worker_free(TAKE_PTR(fixture->workers[0]));
	while (fixture->num_inspected == 0)
		loop_run_once(fixture->loop, true);
	assert_int_equal(fixture->num_inspected, 1);
}

static void tunnels_go_to_siblings_in_turn_and_no_descriptor_leaks(void **state)
{
	struct fixture *fixture = *state;
	unsigned before = num_fds();
	for (unsigned i = 0; i < NUM_WORKERS; i++)
		worker_make(fixture, i);
	for (unsigned i = 0; i < NUM_WORKERS; i++)
		worker_set_siblings(fixture->workers[i], fixture->workers, NUM_WORKERS);
	worker_start(fixture->workers[0]);
	worker_start(fixture->workers[1]);
	int fds[16];
	for (unsigned i = 0; i < 16; i++)
		fds[i] = dial(fixture->options.ports.tunnel); /* without an identity they are reset */
	for (unsigned i = 0; i < 16; i++) {
		assert_true(is_ended_within(fds[i], 5000));
		fd_close(fds[i]);
	}
	for (unsigned i = 0; i < 16; i++)
		fds[i] = dial(fixture->options.ports.tunnel); /* some are still posted messages when the workers stop */
	worker_stop(fixture->workers[0]);
	worker_stop(fixture->workers[1]);
	worker_free(TAKE_PTR(fixture->workers[0]));
	worker_free(TAKE_PTR(fixture->workers[1]));
	for (unsigned i = 0; i < 16; i++)
		fd_close(fds[i]);
	assert_int_equal(num_fds(), before);
}

static void a_port_in_use_is_reported_and_no_descriptor_stays_open(void **state)
{
	struct fixture *fixture = *state;
	struct addr at;
	_cleanup_fd_ int taken = tcp_listen_any(&at);
	unsigned before = num_fds();
	struct why why = {0};
	struct worker *worker = NULL;
	fixture->options.ports.tunnel = at.port;
	assert_int_not_equal(worker_new(&fixture->options, &worker, &why), ERR_NONE);
	assert_null(worker);
	assert_true(why.got[0] != '\0');
	assert_int_equal(num_fds(), before);
}

/* A zeroed port is none: without interception only tunnels and the operator's listeners are open. */
static void listeners_of_the_operator_are_opened_and_others_are_not(void **state)
{
	struct fixture *fixture = *state;
	static struct listeners listeners;
	listeners = (struct listeners){.num_outbound = 1};
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &listeners.outbound[0].at.ip), ERR_NONE);
	listeners.outbound[0].at.port = free_port();
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.3:80"), &listeners.outbound[0].to), ERR_NONE);
	uint16_t outbound = fixture->options.ports.outbound;
	fixture->options.ports.outbound = fixture->options.ports.inbound_plain = 0;
	fixture->options.listeners = &listeners;
	worker_make(fixture, 0);
	worker_start(fixture->workers[0]);
	_cleanup_fd_ int waits = dial(listeners.outbound[0].at.port); /* for networks, which do not arrive */
	assert_true(waits >= 0);
	assert_false(is_ended_within(waits, 50));
	struct addr at = listeners.outbound[0].at;
	at.port = outbound;
	_cleanup_fd_ int refused = -1;
	enum err err = socket_connect(&at, &(struct socket_connect_options){0}, &refused);
	assert_true(err == ERR_REFUSED || is_ended_within(refused, 5000));
	worker_stop(fixture->workers[0]);
	worker_free(TAKE_PTR(fixture->workers[0]));
}

static void a_listeners_port_in_use_is_reported(void **state)
{
	struct fixture *fixture = *state;
	static struct listeners listeners;
	listeners = (struct listeners){.num_outbound = 1};
	_cleanup_fd_ int taken = tcp_listen_any(&listeners.outbound[0].at);
	struct why why = {0};
	struct worker *worker = NULL;
	fixture->options.listeners = &listeners;
	assert_int_not_equal(worker_new(&fixture->options, &worker, &why), ERR_NONE);
	char text[ADDR_TEXT_MAX];
	assert_non_null(strstr(why.got, addr_format(&listeners.outbound[0].at, text)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(D33_a_direct_connection_is_reset_on_the_workers_own_thread),
		TEST(callers_above_the_limit_wait_in_the_backlog_and_are_accepted_when_there_is_room),
		TEST(the_kernel_holds_little_for_a_direct_connection_and_more_for_a_tunnel),
		TEST(with_direct_listeners_plaintext_above_the_limit_is_refused_and_not_left_waiting),
		TEST(messages_that_a_worker_did_not_run_are_run_when_it_is_freed),
		TEST(tunnels_go_to_siblings_in_turn_and_no_descriptor_leaks),
		TEST(a_port_in_use_is_reported_and_no_descriptor_stays_open),
		TEST(listeners_of_the_operator_are_opened_and_others_are_not),
		TEST(a_listeners_port_in_use_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
