#include "base/net/fd.h"
#include "base/net/socket.h"
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
/* cmocka requires setjmp, stdarg and stddef */
#include <cmocka.h>

static struct addr parsed(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

/* Port 0 (the kernel chooses) has no text form. */
static int listening(const char *ip, struct addr *out_at)
{
	struct addr at = {.port = 0};
	int fd = -1;
	assert_int_equal(ip_addr_parse(span_of_str(ip), &at.ip), ERR_NONE);
	assert_int_equal(socket_listen(&at, NULL, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, out_at), ERR_NONE);
	return fd;
}

static void wait_for(int fd, short events)
{
	struct pollfd pollfd = {.fd = fd, .events = events};
	assert_int_equal(poll(&pollfd, 1, 5000), 1);
}

static void connects_to_a_listener_with_the_same_addresses_on_both_sides(_unused_ void **state)
{
	struct addr at, local, accepted_from;
	_cleanup_fd_ int server = listening("127.0.0.1", &at);
	_cleanup_fd_ int client = -1;
	_cleanup_fd_ int accepted = -1;
	assert_int_equal(socket_connect(&at, NULL, &client), ERR_NONE);
	wait_for(client, POLLOUT);
	assert_int_equal(socket_connect_result(client), ERR_NONE);
	wait_for(server, POLLIN);
	assert_int_equal(fd_accept(server, &accepted_from, &accepted), ERR_NONE);
	assert_int_equal(socket_local_addr(client, &local), ERR_NONE);
	assert_true(addr_eq(&local, &accepted_from));
}

static void reports_a_refused_connection(_unused_ void **state)
{
	struct addr at;
	int client = -1;
	fd_close(listening("127.0.0.1", &at));
	enum err err = socket_connect(&at, NULL, &client);
	if (err == ERR_NONE) {
		wait_for(client, POLLOUT);
		err = socket_connect_result(client);
		fd_close(client);
	}
	assert_int_equal(err, ERR_REFUSED);
}

static void binds_to_the_given_source(_unused_ void **state)
{
	struct addr at, local;
	struct ip_addr source = parsed("127.0.0.77:1").ip;
	struct socket_connect_options options = {.source = &source};
	_cleanup_fd_ int server = listening("127.0.0.1", &at);
	_cleanup_fd_ int client = -1;
	assert_int_equal(socket_connect(&at, &options, &client), ERR_NONE);
	assert_int_equal(socket_local_addr(client, &local), ERR_NONE);
	assert_true(ip_addr_eq(&local.ip, &source));
}

static void refuses_a_foreign_source(_unused_ void **state)
{
	struct addr at;
	struct ip_addr source = parsed("192.0.2.1:1").ip;
	struct socket_connect_options options = {.source = &source};
	_cleanup_fd_ int server = listening("127.0.0.1", &at);
	int client = -1;
	assert_int_equal(socket_connect(&at, &options, &client), ERR_UNREACHABLE);
	assert_int_equal(client, -1);
}

static void explains_that_a_port_is_in_use(_unused_ void **state)
{
	struct addr at;
	struct why why = {.err = ERR_NONE};
	char text[ADDR_TEXT_MAX];
	_cleanup_fd_ int server = listening("127.0.0.1", &at);
	int second = -1;
	assert_int_equal(socket_listen(&at, NULL, &second, &why), ERR_EXISTS);
	assert_int_equal(second, -1);
	assert_non_null(strstr(why.got, addr_format(&at, text)));
	assert_non_null(strstr(why.got, "in use"));
	assert_non_null(strstr(why.fix, "stop the program"));
}

static void explains_that_an_address_is_not_this_hosts(_unused_ void **state)
{
	const struct addr at = parsed("192.0.2.1:8080");
	struct why why = {.err = ERR_NONE};
	int fd = -1;
	assert_int_equal(socket_listen(&at, NULL, &fd, &why), ERR_UNREACHABLE);
	assert_string_equal(why.expected, "an address of this host, on an interface that is up");
}

static void shares_a_port_only_if_all_set_reuse_port(_unused_ void **state)
{
	struct socket_listen_options shared = {.reuse_port = true};
	struct addr at = {.port = 0};
	_cleanup_fd_ int first = -1;
	_cleanup_fd_ int second = -1;
	int third = -1;
	at.ip = parsed("127.0.0.1:1").ip;
	assert_int_equal(socket_listen(&at, &shared, &first, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(first, &at), ERR_NONE);
	assert_int_equal(socket_listen(&at, &shared, &second, NULL), ERR_NONE);
	assert_int_equal(socket_listen(&at, NULL, &third, NULL), ERR_EXISTS);
}

static void shows_an_ipv4_client_of_a_v6_listener_as_ipv4(_unused_ void **state)
{
	struct addr at, from;
	struct addr any = {.ip = {.family = AF_INET6}};
	_cleanup_fd_ int server = -1;
	_cleanup_fd_ int client = -1;
	_cleanup_fd_ int accepted = -1;
	if (socket_listen(&any, NULL, &server, NULL) != ERR_NONE)
		skip(); /* a machine without IPv6 */
	assert_int_equal(socket_local_addr(server, &at), ERR_NONE);
	at.ip = parsed("127.0.0.1:1").ip;
	assert_int_equal(socket_connect(&at, NULL, &client), ERR_NONE);
	wait_for(server, POLLIN);
	assert_int_equal(fd_accept(server, &from, &accepted), ERR_NONE);
	assert_int_equal(from.ip.family, AF_INET);
}

static void resets_on_close_when_set(_unused_ void **state)
{
	struct addr at, from;
	_cleanup_fd_ int server = listening("127.0.0.1", &at);
	_cleanup_fd_ int client = -1;
	int accepted = -1;
	assert_int_equal(socket_connect(&at, NULL, &client), ERR_NONE);
	wait_for(server, POLLIN);
	assert_int_equal(fd_accept(server, &from, &accepted), ERR_NONE);
	socket_set_nodelay(accepted);
	socket_set_keepalive(accepted, &(struct socket_keepalive){.idle_s = 30, .interval_s = 5, .probes = 3});
	socket_set_reset_on_close(accepted, true);
	fd_close(accepted);
	wait_for(client, POLLIN);
	assert_int_equal(socket_connect_result(client), ERR_RESET);
}

static void accepted_sockets_inherit_nodelay(_unused_ void **state)
{
	struct addr at, from;
	_cleanup_fd_ int server = listening("127.0.0.1", &at);
	_cleanup_fd_ int client = -1;
	_cleanup_fd_ int accepted = -1;
	int nodelay = 0;
	socklen_t len = sizeof nodelay;
	socket_set_nodelay(server);
	assert_int_equal(socket_connect(&at, NULL, &client), ERR_NONE);
	wait_for(server, POLLIN);
	assert_int_equal(fd_accept(server, &from, &accepted), ERR_NONE);
	assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
	assert_int_not_equal(nodelay, 0);
}

static void finds_no_process_for_a_tcp_socket(_unused_ void **state)
{
	struct addr at;
	struct peer_process process = {.pid = -7};
	_cleanup_fd_ int server = listening("127.0.0.1", &at);
	assert_int_not_equal(socket_peer_process(server, &process), ERR_NONE);
	assert_int_equal(process.pid, -7);
	uid_t user = 7;
	assert_int_equal(socket_peer_user(server, &user), ERR_UNSUPPORTED);
	assert_int_equal(user, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_to_a_listener_with_the_same_addresses_on_both_sides),
		cmocka_unit_test(reports_a_refused_connection),
		cmocka_unit_test(binds_to_the_given_source),
		cmocka_unit_test(refuses_a_foreign_source),
		cmocka_unit_test(explains_that_a_port_is_in_use),
		cmocka_unit_test(explains_that_an_address_is_not_this_hosts),
		cmocka_unit_test(shares_a_port_only_if_all_set_reuse_port),
		cmocka_unit_test(shows_an_ipv4_client_of_a_v6_listener_as_ipv4),
		cmocka_unit_test(resets_on_close_when_set),
		cmocka_unit_test(accepted_sockets_inherit_nodelay),
		cmocka_unit_test(finds_no_process_for_a_tcp_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
