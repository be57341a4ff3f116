#include "base/core/fair_rows.h"
#include "base/core/mem.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct amount {
	uint64_t wanted, given;
};

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t sum_up_to(const struct amount *list, size_t num, uint64_t level)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < num; i++)
		sum += least_of(list[i].wanted, level);
	return sum;
}

/* The highest level that all can have, then one more each for the first of those that want it, until max is reached. */
static uint64_t give(struct amount *list, size_t num, uint64_t max)
{
	uint64_t low = 0, high = max;
	while (low < high) {
		uint64_t middle = high - (high - low) / 2;
		if (sum_up_to(list, num, middle) <= max)
			low = middle;
		else
			high = middle - 1;
	}
	uint64_t sum = sum_up_to(list, num, low);
	for (size_t i = 0; i < num; i++) {
		bool has_more = list[i].wanted > low && sum < max;
		list[i].given = least_of(list[i].wanted, low) + has_more;
		sum += has_more;
	}
	return sum;
}

/* Of one owner in the order of the list. */
static int compare(const void *a, const void *b)
{
	const struct fair_rows *left = *(struct fair_rows *const *)a, *right = *(struct fair_rows *const *)b;
	int order = strcmp(left->owner, right->owner);
	return order != 0 ? order : (left > right) - (left < right);
}

/* sorted: the sources by owner. ends[g]: behind the last source of owner g. Returns the number of owners. */
static size_t add_up(
	struct fair_rows *const *sorted, size_t num, uint64_t each_max, struct amount *of_owners, size_t *ends)
{
	size_t num_owners = 0;
	for (size_t i = 0; i < num; i++) {
		bool is_new = i == 0 || strcmp(sorted[i - 1]->owner, sorted[i]->owner) != 0;
		struct amount *owner = &of_owners[is_new ? num_owners++ : num_owners - 1];
		owner->wanted = least_of(owner->wanted + sorted[i]->wanted, each_max);
		ends[num_owners - 1] = i + 1;
	}
	return num_owners;
}

uint64_t fair_rows_share(struct fair_rows *sources, size_t num, uint64_t each_max, uint64_t max)
{
	_cleanup_(mem_freep) struct fair_rows **sorted = mem_calloc(num, sizeof(struct fair_rows *));
	_cleanup_(mem_freep) struct amount *of_sources = mem_calloc(num, sizeof(struct amount));
	_cleanup_(mem_freep) struct amount *of_owners = mem_calloc(num, sizeof(struct amount));
	_cleanup_(mem_freep) size_t *ends = mem_calloc(num, sizeof(size_t));
	for (size_t i = 0; i < num; i++)
		sorted[i] = &sources[i];
	if (num > 0)
		qsort(sorted, num, sizeof(struct fair_rows *), compare);
	for (size_t i = 0; i < num; i++)
		of_sources[i].wanted = sorted[i]->wanted;
	size_t num_owners = add_up(sorted, num, each_max, of_owners, ends);
	uint64_t sum = give(of_owners, num_owners, max);
	for (size_t owner = 0, begin = 0; owner < num_owners; begin = ends[owner++])
		(void)give(of_sources + begin, ends[owner] - begin, of_owners[owner].given);
	for (size_t i = 0; i < num; i++)
		sorted[i]->given = of_sources[i].given;
	return sum;
}
