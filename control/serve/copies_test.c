#include "control/serve/copies.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
/* cmocka requires these */
#include <cmocka.h>

enum { NOW_MS = 1000000 };
static char streams[4];

static struct copies_row row(unsigned key, uint16_t family, uint64_t age_ms, unsigned stream)
{
	struct copies_row row = {.family = family, .since_ms = NOW_MS - age_ms, .stream = &streams[stream]};
	memset(row.key_hash, (int)key, DIGEST_LEN);
	return row;
}

static void on_found(void *arg, void *stream, void *other)
{
	unsigned *mask = arg;
	*mask |= 1u << ((char *)stream - streams) | 1u << ((char *)other - streams);
}

static unsigned find(struct copies_row *rows, size_t num)
{
	unsigned mask = 0;
	size_t found = copies_find(rows, num, NOW_MS, on_found, &mask);
	assert_int_equal(found != 0, mask != 0);
	return mask;
}

static void finding_i12_finds_a_key_that_is_used_twice(void **state)
{
	(void)state;
	struct copies_row rows[] = {row(2, AF_INET, 90000, 0), row(1, AF_INET, 90000, 1), row(2, AF_INET, 46000, 2),
		row(3, AF_INET, 90000, 3)};
	assert_int_equal(find(rows, 4), 1u << 0 | 1u << 2);
}

static void a_sidecar_that_reconnected_is_not_a_copy(void **state)
{
	(void)state;
	struct copies_row rows[] = {row(2, AF_INET, 90000, 0), row(2, AF_INET, 44000, 1)};
	assert_int_equal(find(rows, 2), 0);
}

static void the_connection_of_the_other_family_is_not_a_copy(void **state)
{
	(void)state;
	struct copies_row rows[] = {row(2, AF_INET, 90000, 0), row(2, AF_INET6, 90000, 1)};
	assert_int_equal(find(rows, 2), 0);
	assert_int_equal(find(rows, 1), 0);
	assert_int_equal(find(rows, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_i12_finds_a_key_that_is_used_twice),
		cmocka_unit_test(a_sidecar_that_reconnected_is_not_a_copy),
		cmocka_unit_test(the_connection_of_the_other_family_is_not_a_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
