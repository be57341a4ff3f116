#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "sidecar/process.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void w24_cannot_be_dumped(_unused_ void **state)
{
	struct rlimit core;
	assert_int_equal(process_harden(NULL), ERR_NONE);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
	assert_int_equal(core.rlim_cur, 0);
}

static uint32_t permitted(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	return syscall(SYS_capget, &header, data) == 0 ? data[0].permitted : 0;
}

/* In a child: as a user with the capabilities of root, where that can be had. Its exit code is the answer. */
static int dropped_as_a_user(void)
{
	const uint32_t net_raw = 1u << CAP_NET_RAW, other = 1u << CAP_NET_BIND_SERVICE;
	if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setresuid(1, 1, 1) != 0 ||
		(permitted() & (net_raw | other)) != (net_raw | other))
		return 2;
	return process_drop_net_raw(NULL) == ERR_NONE && (permitted() & (net_raw | other)) == other ? 0 : 1;
}

static void K42_a_user_gives_up_net_raw_and_no_other_capability(_unused_ void **state)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		_exit(dropped_as_a_user());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		skip(); /* it needs root; story 325 has the rest */
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void root_keeps_what_it_has(_unused_ void **state)
{
	uint32_t before = permitted();
	if (geteuid() != 0 || before == 0)
		skip();
	assert_int_equal(process_drop_net_raw(NULL), ERR_NONE);
	assert_int_equal(permitted(), before);
}

/* Connections, tunnels and the reserve of 256 never need more descriptors than there are. */
static void finding_l14_connections_and_tunnels_fit_the_descriptors(_unused_ void **state)
{
	assert_int_equal(process_tunnels(20000), 2500);
	assert_int_equal(process_connection_descriptors(20000, 0), 16960);
	assert_int_equal(process_tunnels(1024), 128);
	assert_int_equal(process_connection_descriptors(1024, 0), 576);
	assert_int_equal(process_tunnels(64), 16);
	assert_int_equal(process_connection_descriptors(64, 0), 32);
	for (unsigned long descriptors = 512; descriptors < 100000; descriptors += 499) {
		unsigned long connections = process_connection_descriptors(descriptors, 0);
		assert_true(connections + connections / 64 + process_tunnels(descriptors) + 256 <= descriptors);
	}
}

/* And the handshakes of callers who may be anyone. */
static void finding_l14_so_do_handshakes_without_a_tunnel(_unused_ void **state)
{
	assert_int_equal(process_direct_handshakes(1 << 20), 1024);
	assert_int_equal(process_direct_handshakes(1024), 64);
	assert_int_equal(process_direct_handshakes(64), 16);
	assert_int_equal(process_connection_descriptors(1024, 64), 512);
	for (unsigned long descriptors = 512; descriptors < 100000; descriptors += 499) {
		unsigned long handshakes = process_direct_handshakes(descriptors);
		unsigned long connections = process_connection_descriptors(descriptors, handshakes);
		assert_true(connections + connections / 64 + process_tunnels(descriptors) + handshakes + 256 <=
			    descriptors);
	}
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

/* In the program's file, as code is, and used by nothing later. */
static const uint8_t only_for_the_start[1 << 20] = {1};

static unsigned long number_in(const char *line)
{
	unsigned long number = 0;
	for (; *line != '\0'; line++)
		if (*line >= '0' && *line <= '9')
			number = number * 10 + (unsigned long)(*line - '0');
	return number;
}

/* Of the mappings whose line ends so. */
static unsigned long resident_kb(const char *name)
{
	char line[512];
	bool is_named = false;
	unsigned long kb = 0;
	FILE *file = fopen("/proc/self/smaps", "r"); /* statm has estimates */
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "Rss:", 4) == 0)
			kb += is_named ? number_in(line) : 0;
		else if (line[0] >= '0' && line[0] <= 'f' && strchr(line, '-') != NULL)
			is_named = strstr(line, name) != NULL;
	}
	(void)fclose(file);
	return kb;
}

static void the_memory_of_the_start_is_returned(_unused_ void **state)
{
	enum { BLOCKS = 64, BLOCK_LEN = 64 * 1024 };
	void *blocks[BLOCKS];
	unsigned sum = 0;
	for (unsigned i = 0; i < BLOCKS; i++)
		memset(blocks[i] = mem_alloc(BLOCK_LEN), (int)i + 1, BLOCK_LEN);
	for (unsigned i = 0; i + 1 < BLOCKS; i++) /* the last one keeps the heap from shrinking by itself */
		mem_free(blocks[i]);
	for (size_t at = 0; at < sizeof(only_for_the_start); at += 4096)
		sum += ((const volatile uint8_t *)only_for_the_start)[at];
	assert_int_equal(sum, 1);
	_unused_
	unsigned long file_kb = resident_kb("/process_test\n"), heap_kb = resident_kb("[heap]\n");
	process_forget_start();
	assert_true(resident_kb("/process_test\n") + 512 < file_kb);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose heap is their own */
	assert_true(resident_kb("[heap]\n") + BLOCKS / 2 * (BLOCK_LEN / 1024) < heap_kb);
#endif
	mem_free(blocks[BLOCKS - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(w24_cannot_be_dumped),
		cmocka_unit_test(K42_a_user_gives_up_net_raw_and_no_other_capability),
		cmocka_unit_test(root_keeps_what_it_has),
		cmocka_unit_test(finding_l14_connections_and_tunnels_fit_the_descriptors),
		cmocka_unit_test(finding_l14_so_do_handshakes_without_a_tunnel),
		cmocka_unit_test(raises_the_descriptor_limit_to_the_hard_limit),
		cmocka_unit_test(has_one_to_four_workers),
		cmocka_unit_test(the_memory_of_the_start_is_returned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
