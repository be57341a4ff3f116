#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/net/test_namespace.h"
#include "intercept/apply.h"
#include "intercept/probe.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

#define PORT 15001

static struct probe probe_to(const char *dialed)
{
	struct probe probe = {.port = PORT, .uid = 65534, .gid = 65534, .timeout_ms = 300};
	assert_int_equal(addr_parse(span_of_str(dialed), &probe.dialed), ERR_NONE);
	return probe;
}

static enum probe_outcome outcome_of(const char *dialed)
{
	struct probe probe = probe_to(dialed);
	return probe_run(&probe, NULL);
}

static int listen_at(const char *text)
{
	struct socket_listen_options options = {0};
	struct addr at;
	int fd = -1;
	assert_int_equal(addr_parse(span_of_str(text), &at), ERR_NONE);
	assert_int_equal(socket_listen(&at, &options, &fd, NULL), ERR_NONE);
	return fd;
}

static void redirect(const char *match)
{
	char commands[512];
	snprintf(commands, sizeof(commands),
		"add table inet t\ndelete table inet t\ntable inet t {\nchain c {\ntype nat hook output priority -100\n"
		"%s\n}\n}\n",
		match);
	assert_int_equal(apply_commands(commands, NULL), ERR_NONE);
}

static void has_no_result_without_a_route(_unused_ void **state)
{
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_NO_ROUTE);
	assert_int_equal(outcome_of("[2001:db8:ffff::9]:9"), PROBE_NO_ROUTE);
	test_namespace_add_way_out();
}

static void detects_a_connection_that_left_without_rules(_unused_ void **state)
{
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_UNANSWERED);
	assert_int_equal(outcome_of("[2001:db8:ffff::9]:9"), PROBE_UNANSWERED);
}

static void detects_an_answer_of_another_host(_unused_ void **state)
{
	_cleanup_fd_ int fd = listen_at("0.0.0.0:9");
	assert_int_equal(outcome_of("192.0.2.1:9"), PROBE_ELSEWHERE);
	assert_int_equal(outcome_of("192.0.2.1:10"), PROBE_ELSEWHERE);
}

static void detects_a_redirect_when_nothing_listens_at_the_port(_unused_ void **state)
{
	redirect("meta l4proto tcp redirect to :15001");
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_REDIRECTED);
	assert_int_equal(outcome_of("[2001:db8:ffff::9]:9"), PROBE_REDIRECTED);
}

static void detects_a_redirect_to_a_dual_stack_listener(_unused_ void **state)
{
	_cleanup_fd_ int fd = listen_at("[::]:15001");
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_REDIRECTED);
	assert_int_equal(outcome_of("[2001:db8:ffff::9]:9"), PROBE_REDIRECTED);
}

static void detects_a_redirect_to_a_listener_of_one_family(_unused_ void **state)
{
	_cleanup_fd_ int fd = listen_at("127.0.0.1:15001");
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_REDIRECTED);
	assert_int_equal(outcome_of("[2001:db8:ffff::9]:9"), PROBE_REDIRECTED);
}

enum { NUM_PORTS = 40 };

static void give_out_ports(const char *range)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");
	assert_non_null(file);
	assert_true(fputs(range, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Each port of the range has had a redirected connection, which conntrack still knows. */
static void use_every_port(void)
{
	_cleanup_fd_ int listening_fd = listen_at("0.0.0.0:15001");
	int fds[NUM_PORTS];
	struct addr to;
	assert_int_equal(addr_parse(SPAN_LITERAL("203.0.113.9:7"), &to), ERR_NONE);
	for (unsigned i = 0; i < NUM_PORTS; i++)
		assert_int_equal(socket_connect(&to, &(struct socket_connect_options){0}, &fds[i]), ERR_NONE);
	for (unsigned i = 0; i < NUM_PORTS; i++)
		fd_close(fds[i]);
}

static void a_port_that_conntrack_knows_misleads_no_probe(_unused_ void **state)
{
	give_out_ports("40000 40039");
	use_every_port();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_REDIRECTED); /* at its own listener */
	_cleanup_fd_ int fd = listen_at("0.0.0.0:15001");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_REDIRECTED);
	give_out_ports("32768 60999");
}

static void does_not_wake_another_listener(_unused_ void **state)
{
	_cleanup_fd_ int fd = listen_at("[::]:15001");
	_cleanup_fd_ int accepted = -1;
	struct addr peer;
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_REDIRECTED);
	assert_int_equal(fd_accept(fd, &peer, &accepted), ERR_UNAVAILABLE);
}

static void detects_a_redirect_to_another_port(_unused_ void **state)
{
	_cleanup_fd_ int other = listen_at("[::]:15002");
	_cleanup_fd_ int fd = listen_at("[::]:15001");
	redirect("meta l4proto tcp redirect to :15002");
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_ELSEWHERE);
	fd_close(TAKE_FD(fd));
	assert_int_equal(outcome_of("203.0.113.9:9"), PROBE_ELSEWHERE);
}

static void dials_as_the_given_user(_unused_ void **state)
{
	struct probe probe = probe_to("203.0.113.9:9");
	redirect("meta skuid 1337 meta skgid 1337 return\nmeta l4proto tcp redirect to :15001");
	assert_int_equal(probe_run(&probe, NULL), PROBE_REDIRECTED);
	probe.uid = 1337;
	assert_int_equal(probe_run(&probe, NULL), PROBE_REDIRECTED);
	probe.gid = 1337;
	assert_int_equal(probe_run(&probe, NULL), PROBE_UNANSWERED);
	probe.uid = 65534;
	assert_int_equal(probe_run(&probe, NULL), PROBE_REDIRECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_no_result_without_a_route), /* makes a route at its end: first */
		cmocka_unit_test(detects_a_connection_that_left_without_rules),
		cmocka_unit_test(detects_an_answer_of_another_host),
		cmocka_unit_test(detects_a_redirect_when_nothing_listens_at_the_port),
		cmocka_unit_test(detects_a_redirect_to_a_dual_stack_listener),
		cmocka_unit_test(detects_a_redirect_to_a_listener_of_one_family),
		cmocka_unit_test(a_port_that_conntrack_knows_misleads_no_probe),
		cmocka_unit_test(does_not_wake_another_listener),
		cmocka_unit_test(detects_a_redirect_to_another_port),
		cmocka_unit_test(dials_as_the_given_user),
	};
	return cmocka_run_group_tests(tests, test_namespace_enter, NULL);
}
