/* Which rows of a list are shown when there is no room for all: owners get equally many, as far as they have so many,
 * and so do the sources of one owner. One owner with very many rows hides none of the others'. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fair_rows { /* the rows of one source, or one row */
	const char *owner;
	uint64_t wanted; /* rows that there are */
	uint64_t given;  /* out: the rows to show, the first ones of the source */
};

/* At most `each_max` rows per owner, and `max` of all. Returns how many are given. O(num log num). */
uint64_t fair_rows_share(struct fair_rows *sources, size_t num, uint64_t each_max, uint64_t max);
