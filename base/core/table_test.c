#include "base/core/hash.h"
#include "base/core/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

enum { MANY = 5000 };

struct item {
	uint32_t number;
	struct table_link link;
};

static struct item items[MANY];

static bool has_number(const struct table_link *link, const void *key)
{
	return container_of(link, const struct item, link)->number == *(const uint32_t *)key;
}

static uint64_t hash_of(const struct table *table, uint32_t number)
{
	return hash_mix(number, table->seed);
}

static struct item *find(const struct table *table, uint32_t number)
{
	struct table_link *link = table_find(table, hash_of(table, number), has_number, &number);
	return link == NULL ? NULL : container_of(link, struct item, link);
}

static void fill(struct table *table, unsigned num)
{
	for (uint32_t i = 0; i < num; i++) {
		items[i] = (struct item){.number = i};
		table_add(table, &items[i].link, hash_of(table, i));
	}
}

static void drop(void *arg, struct table_link *link)
{
	table_remove(arg, link);
}

static void finds_what_was_added_and_nothing_else(_unused_ void **state)
{
	struct table table;
	table_init(&table, 0);
	assert_null(find(&table, 1));
	fill(&table, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(find(&table, i), &items[i]);
	assert_null(find(&table, MANY));
	for (uint32_t i = 0; i < MANY; i += 2)
		table_remove(&table, &items[i].link);
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(find(&table, i), i % 2 == 0 ? NULL : &items[i]);
	assert_int_equal(table.num, MANY / 2);
	table_each(&table, drop, &table);
	table_done(&table);
}

static void does_not_grow_within_the_expected_number(_unused_ void **state)
{
	struct table table;
	table_init(&table, 1000);
	size_t before = table.num_buckets;
	fill(&table, 1000);
	assert_int_equal(table.num_buckets, before);
	assert_true(before >= 1000);
	table_each(&table, drop, &table);
	table_done(&table);
}

/* Which keys share a bucket follows from the seed. */
static void each_table_has_a_seed_of_its_own(_unused_ void **state)
{
	struct table one, other;
	table_init(&one, 0);
	table_init(&other, 0);
	assert_true(one.seed != other.seed);
	table_done(&one);
	table_done(&other);
}

static void finds_each_of_equal_hashes(_unused_ void **state)
{
	struct table table;
	table_init(&table, 0);
	for (uint32_t i = 0; i < 100; i++) {
		items[i] = (struct item){.number = i};
		table_add(&table, &items[i].link, 7);
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(table_find(&table, 7, has_number, &i), &items[i].link);
	table_each(&table, drop, &table);
	table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_added_and_nothing_else),
		cmocka_unit_test(does_not_grow_within_the_expected_number),
		cmocka_unit_test(each_table_has_a_seed_of_its_own),
		cmocka_unit_test(finds_each_of_equal_hashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
