#include "control/serve/copies.h"
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const struct copies_row *one = a, *other = b;
	int comparison = memcmp(one->key_hash, other->key_hash, DIGEST_LEN);
	if (comparison != 0)
		return comparison;
	return one->family != other->family ? (one->family < other->family ? -1 : 1)
					    : (one->since_ms > other->since_ms) - (one->since_ms < other->since_ms);
}

size_t copies_find(struct copies_row *rows, size_t num, uint64_t now_ms, copies_found_fn *on_found, void *arg)
{
	size_t found = 0;
	if (num < 2)
		return 0;
	qsort(rows, num, sizeof *rows, compare);
	for (size_t i = 1; i < num; i++) {
		const struct copies_row *one = &rows[i - 1], *other = &rows[i]; /* the newer one */
		if (memcmp(one->key_hash, other->key_hash, DIGEST_LEN) != 0 || one->family != other->family ||
			now_ms - other->since_ms < COPIES_STAND_MS)
			continue;
		found++;
		on_found(arg, one->stream, other->stream);
	}
	return found;
}
