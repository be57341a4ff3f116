#include "base/core/cleanup.h"
#include "base/core/clock.h"
#include "base/core/process_facts.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void counts_open_descriptors(_unused_ void **state)
{
	struct process_facts facts;
	process_facts_open(&facts);
	int64_t before = process_open_descriptors(&facts);
	assert_true(before >= 5); /* the standard three and the two of process_facts */
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(process_open_descriptors(&facts), before + 1);
	close(fd);
	assert_int_equal(process_open_descriptors(&facts), before);
	process_facts_close(&facts);
	assert_int_equal(process_open_descriptors(&facts), 0);
	assert_int_equal(process_resident_bytes(&facts), 0);
}

static void reports_used_memory_and_cpu_time(_unused_ void **state)
{
	enum { MORE = 32 * 1024 * 1024 };
	struct process_facts facts;
	process_facts_open(&facts);
	int64_t before = process_resident_bytes(&facts), cpu_before = process_cpu_ms();
	char *more = malloc(MORE);
	assert_non_null(more);
	for (unsigned round = 0; process_cpu_ms() < cpu_before + 20; round++)
		memset(more, (int)round, MORE);
	assert_true(process_resident_bytes(&facts) > before + MORE / 2);
	free(more);
	int64_t now_s = clock_system.wall_ms(&clock_system) / 1000;
	assert_true(facts.start_wall_s <= now_s && facts.start_wall_s > now_s - 60);
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(process_max_descriptors(), limit.rlim_cur);
	process_facts_close(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_open_descriptors),
		cmocka_unit_test(reports_used_memory_and_cpu_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
