#include "base/net/rules_proof.h"
#include "base/net/test_namespace.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static void without_the_address_nothing_leaves_and_there_is_no_proof(void **state)
{
	(void)state;
	assert_int_equal(rules_proof_ask(), RULES_PROOF_MISSING);
	/* A program may bind to an address that is not there, and a route leads out. */
	run("sysctl -qw net.ipv4.ip_nonlocal_bind=1 && ip link add out0 type veth peer name out1 && ip link set out1 "
	    "up && ip addr add 192.0.2.1/24 dev "
	    "out0 && "
	    "ip link set out0 up && ip route add default via 192.0.2.2");
	assert_int_equal(rules_proof_ask(), RULES_PROOF_MISSING);
	run("! ip neigh show dev out0 | grep -q 192.0.2.2"); /* no one asked for the way out */
	run("sysctl -qw net.ipv4.ip_nonlocal_bind=0 && ip link del out0");
}

static void the_proof_is_there_as_long_as_the_rule(void **state)
{
	(void)state;
	run("ip addr add 169.254.15.6/32 dev lo");
	assert_int_equal(rules_proof_ask(), RULES_PROOF_MISSING);
	run("nft 'table inet t { chain c { type filter hook output priority 0; ip daddr 169.254.15.6 udp dport 15009 "
	    "drop; "
	    "}; }'");
	assert_int_equal(rules_proof_ask(), RULES_PROOF_GIVEN);
	run("nft flush ruleset");
	assert_int_equal(rules_proof_ask(), RULES_PROOF_MISSING);
}

static void a_firewall_that_drops_all_is_no_proof(void **state)
{
	(void)state;
	run("nft 'table inet t { chain c { type filter hook output priority 0; policy drop; }; }'");
	assert_int_equal(rules_proof_ask(), RULES_PROOF_UNKNOWN);
	run("nft flush ruleset");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_address_nothing_leaves_and_there_is_no_proof),
		cmocka_unit_test(the_proof_is_there_as_long_as_the_rule),
		cmocka_unit_test(a_firewall_that_drops_all_is_no_proof),
	};
	return cmocka_run_group_tests(tests, test_namespace_enter, NULL);
}
