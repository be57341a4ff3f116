#include "base/net/test_namespace.h"
#include "base/core/check.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* Only tests run a shell; the programs do not. */
static void run(const char *command)
{
	CHECK(system(command) == 0);
}

int test_namespace_enter(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) != 0) {
		fputs("needs root, for a network namespace of its own\n", stderr);
		return -1;
	}
	run("ip link set lo up");
	return 0;
}

void test_namespace_add_way_out(void)
{
	run("ip link add void0 type veth peer name void1 && ip link set void0 up arp off && ip link set void1 up && "
	    "ip addr add 192.0.2.1/24 dev void0 && ip addr add 2001:db8:9::1/64 dev void0 nodad && "
	    "ip route add default via 192.0.2.2 && ip route add default via 2001:db8:9::2 dev void0");
}
