#include "base/core/cleanup.h"
#include "sidecar/process.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void w24_cannot_be_dumped(_unused_ void **state)
{
	struct rlimit core;
	assert_int_equal(process_harden(NULL), ERR_NONE);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
	assert_int_equal(core.rlim_cur, 0);
}

/* Connections, tunnels and the reserve of 256 never need more descriptors than there are. */
static void finding_l14_connections_and_tunnels_fit_the_descriptors(_unused_ void **state)
{
	assert_int_equal(process_tunnels(20000), 2500);
	assert_int_equal(process_connections(20000), 8622);
	assert_int_equal(process_tunnels(1024), 128);
	assert_int_equal(process_connections(1024), 320);
	assert_int_equal(process_tunnels(64), 16);
	assert_int_equal(process_connections(64), 16);
	for (unsigned long descriptors = 512; descriptors < 100000; descriptors += 499)
		assert_true(2 * process_connections(descriptors) + process_tunnels(descriptors) + 256 <= descriptors);
}

static void raises_the_descriptor_limit_to_the_hard_limit(_unused_ void **state)
{
	struct rlimit limit;
	unsigned long got = process_descriptors();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(got, limit.rlim_cur);
	assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

static void has_one_to_four_workers(_unused_ void **state)
{
	assert_in_range(process_workers(), 1, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(w24_cannot_be_dumped),
		cmocka_unit_test(finding_l14_connections_and_tunnels_fit_the_descriptors),
		cmocka_unit_test(raises_the_descriptor_limit_to_the_hard_limit),
		cmocka_unit_test(has_one_to_four_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
