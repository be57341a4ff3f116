#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void copies_bytes_and_texts(_unused_ void **state)
{
	_cleanup_(mem_freep) char *text = mem_strdup("hello");
	_cleanup_(mem_freep) char *printed = mem_printf("%s %d", text, 7);
	_cleanup_(mem_freep) char *bytes = mem_dup(printed, 5);
	assert_string_equal(printed, "hello 7");
	assert_memory_equal(bytes, "hello", 5);
}

static void allocates_memory_for_size_zero(_unused_ void **state)
{
	_cleanup_(mem_freep) void *none = mem_dup(NULL, 0);
	_cleanup_(mem_freep) void *shrunk = mem_realloc(mem_alloc(8), 0);
	_cleanup_(mem_freep) void *cells = mem_calloc(0, 8);
	assert_true(none != NULL && shrunk != NULL && cells != NULL);
	mem_free(NULL);
}

static void starts_with_zeroes_and_wipes_to_zeroes(_unused_ void **state)
{
	static const uint8_t zero[32];
	_cleanup_(mem_freep) uint8_t *bytes = mem_zalloc(32);
	assert_memory_equal(bytes, zero, 32);
	memset(bytes, 0xff, 32);
	mem_wipe(bytes, 32);
	assert_memory_equal(bytes, zero, 32);
	mem_wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_bytes_and_texts),
		cmocka_unit_test(allocates_memory_for_size_zero),
		cmocka_unit_test(starts_with_zeroes_and_wipes_to_zeroes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
