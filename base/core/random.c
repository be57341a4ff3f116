#include "base/core/random.h"
#include "base/core/check.h"
#include <errno.h>
#include <sys/random.h>

void random_bytes(void *out, size_t len)
{
	unsigned char *next = out;
	while (len > 0) {
		ssize_t got = getrandom(next, len, 0);
		if (got < 0 && errno == EINTR)
			continue;
		CHECK(got > 0); /* every supported kernel has getrandom() */
		next += got;
		len -= (size_t)got;
	}
}

uint32_t random_u32(void)
{
	uint32_t value;
	random_bytes(&value, sizeof value);
	return value;
}

uint64_t random_u64(void)
{
	uint64_t value;
	random_bytes(&value, sizeof value);
	return value;
}

uint32_t random_spread(uint32_t *state)
{
	uint32_t x = *state;
	CHECK(x != 0);
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}
