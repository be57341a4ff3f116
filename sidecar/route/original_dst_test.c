#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/route/original_dst.h"
#include <poll.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static struct own_ports sidecar_ports(void)
{
	struct own_ports own = {0};
	own_ports_add(&own, 15001);
	own_ports_add(&own, 15006);
	own_ports_add(&own, 15008);
	return own;
}

static enum destination_fault authority(const char *destination, const char *local)
{
	struct own_ports own = sidecar_ports();
	struct original_dst dst = {addr_of(destination)};
	struct addr tunnel_local = addr_of(local);
	return original_dst_check_authority(&dst, &tunnel_local, &own);
}

static void d32_an_authority_must_be_the_tunnels_local_address_and_no_port_of_the_sidecar(void **state)
{
	(void)state;
	assert_int_equal(authority("192.0.2.1:80", "192.0.2.1:15008"), DESTINATION_FINE);
	assert_int_equal(authority("192.0.2.2:80", "192.0.2.1:15008"), DESTINATION_NOT_LOCAL);
	assert_int_equal(authority("127.0.0.1:80", "192.0.2.1:15008"), DESTINATION_NOT_LOCAL);
	assert_int_equal(authority("127.0.0.1:80", "127.0.0.1:15008"), DESTINATION_NOT_LOCAL);
	assert_int_equal(authority("0.0.0.0:80", "192.0.2.1:15008"), DESTINATION_NOT_LOCAL);
	assert_int_equal(authority("169.254.169.254:80", "192.0.2.1:15008"), DESTINATION_NOT_LOCAL);
	assert_int_equal(authority("[::1]:80", "[2001:db8::1]:15008"), DESTINATION_NOT_LOCAL);
	assert_int_equal(authority("[::ffff:192.0.2.1]:80", "192.0.2.1:15008"), DESTINATION_FINE);
	assert_int_equal(authority("192.0.2.1:15001", "192.0.2.1:15008"), DESTINATION_IS_OURS);
	assert_int_equal(authority("192.0.2.1:15006", "192.0.2.1:15008"), DESTINATION_IS_OURS);
	assert_int_equal(authority("192.0.2.1:15008", "192.0.2.1:15008"), DESTINATION_IS_OURS);
}

static void d33_a_direct_connection_to_a_listener_is_reported_as_not_redirected(void **state)
{
	(void)state;
	struct own_ports own = sidecar_ports();
	struct addr out_local = addr_of("127.0.0.1:15001");
	struct addr in_local = addr_of("127.0.0.1:15006");
	struct original_dst out = {out_local}, in = {in_local};
	assert_int_equal(original_dst_check_outbound(&out, &out_local, &own), DESTINATION_NOT_REDIRECTED);
	assert_int_equal(original_dst_check_inbound(&in, &in_local, &own), DESTINATION_NOT_REDIRECTED);
}

static void d32_inbound_destinations_must_be_local_addresses(void **state)
{
	(void)state;
	struct own_ports own = sidecar_ports();
	struct addr local = addr_of("127.0.0.1:15006");
	struct original_dst far = {addr_of("192.0.2.77:80")};
	struct original_dst inside = {addr_of("127.0.0.1:80")};
	struct original_dst meta = {addr_of("169.254.169.254:80")};
	assert_int_equal(original_dst_check_inbound(&far, &local, &own), DESTINATION_NOT_LOCAL);
	assert_int_equal(original_dst_check_inbound(&inside, &local, &own), DESTINATION_NOT_LOCAL);
	assert_int_equal(original_dst_check_inbound(&meta, &local, &own), DESTINATION_NOT_LOCAL);
}

static void finding_l14_a_destination_is_not_taken_for_remote_when_no_descriptor_is_free(void **state)
{
	(void)state;
	struct own_ports own = sidecar_ports();
	struct addr local = addr_of("127.0.0.1:15001");
	struct original_dst app = {addr_of("192.0.2.1:80")}, ours_there = {addr_of("192.0.2.1:15001")};
	struct rlimit limit, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	enum destination_fault inbound = original_dst_check_inbound(&app, &local, &own);
	enum destination_fault outbound = original_dst_check_outbound(&ours_there, &local, &own);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(inbound, DESTINATION_NOT_CHECKED);
	assert_int_equal(outbound, DESTINATION_NOT_CHECKED); /* it may be a loop */
}

static void outbound_destinations_may_be_anything_but_the_sidecars_listeners(void **state)
{
	(void)state;
	struct own_ports own = sidecar_ports();
	struct addr local = addr_of("127.0.0.1:15001");
	struct original_dst far = {addr_of("192.0.2.77:15008")};
	struct original_dst self = {addr_of("127.0.0.1:15006")};
	assert_int_equal(original_dst_check_outbound(&far, &local, &own), DESTINATION_FINE);
	assert_int_equal(original_dst_check_outbound(&self, &local, &own), DESTINATION_IS_OURS);
}

/* With connection tracking, the kernel reports the local address; without, it reports nothing. Both are refused. */
static void a_connection_that_was_not_redirected_is_detected(void **state)
{
	(void)state;
	_cleanup_fd_ int listening = -1, client = -1, accepted = -1;
	struct addr at = {.ip = addr_of("127.0.0.1:1").ip, .port = 0};
	assert_int_equal(socket_listen(&at, &(struct socket_listen_options){0}, &listening, NULL), ERR_NONE);
	struct addr bound, peer;
	assert_int_equal(socket_local_addr(listening, &bound), ERR_NONE);
	assert_int_equal(socket_connect(&bound, &(struct socket_connect_options){0}, &client), ERR_NONE);
	assert_int_equal(poll(&(struct pollfd){.fd = listening, .events = POLLIN}, 1, 1000), 1);
	assert_int_equal(fd_accept(listening, &peer, &accepted), ERR_NONE);
	struct original_dst dst = {0};
	struct own_ports own = {0};
	if (original_dst_get(accepted, &peer, &dst) == ERR_NONE)
		assert_int_equal(original_dst_check_outbound(&dst, &bound, &own), DESTINATION_NOT_REDIRECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d32_an_authority_must_be_the_tunnels_local_address_and_no_port_of_the_sidecar),
		cmocka_unit_test(d33_a_direct_connection_to_a_listener_is_reported_as_not_redirected),
		cmocka_unit_test(d32_inbound_destinations_must_be_local_addresses),
		cmocka_unit_test(finding_l14_a_destination_is_not_taken_for_remote_when_no_descriptor_is_free),
		cmocka_unit_test(outbound_destinations_may_be_anything_but_the_sidecars_listeners),
		cmocka_unit_test(a_connection_that_was_not_redirected_is_detected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
