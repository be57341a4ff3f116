#include "sidecar/report/failures.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/share_key.h"
#include <pthread.h>
#include <string.h>

struct failures {
	pthread_mutex_t lock;
	size_t num, max;
	uint64_t num_left_out;
	struct failure *seen; /* the most recent first */
};

struct failures *failures_new(size_t max)
{
	CHECK(max > 0);
	struct failures *failures = mem_new(struct failures);
	CHECK(pthread_mutex_init(&failures->lock, NULL) == 0);
	failures->max = max;
	failures->seen = mem_calloc(max, sizeof(struct failure));
	return failures;
}

void failures_free(struct failures *failures)
{
	if (failures == NULL)
		return;
	CHECK(pthread_mutex_destroy(&failures->lock) == 0);
	mem_free(failures->seen);
	mem_free(failures);
}

size_t failures_max(const struct failures *failures)
{
	return failures->max;
}

/* The texts are not compared: they often contain a port, which differs each time. An IPv6 /64 counts as one source. */
static bool is_same(const struct failure *a, const struct failure *b)
{
	struct share_key source_a = share_key_of_prefix64(&a->remote.ip),
			 source_b = share_key_of_prefix64(&b->remote.ip);
	return a->detail.err == b->detail.err && strcmp(a->what, b->what) == 0 &&
	       strcmp(a->direction, b->direction) == 0 && strcmp(a->reason, b->reason) == 0 &&
	       share_key_eq(&source_a, &source_b) && addr_eq(&a->destination, &b->destination);
}

/* Caused by other hosts, which may cause failures as often and from as many addresses as they like. */
static bool is_inbound(const struct failure *failure)
{
	return strncmp(failure->direction, "inbound", strlen("inbound")) == 0;
}

/* The entry of the same failure, else the entry to replace: inbound failures take at most half of the entries from the
 * others. */
static size_t place_of(struct failures *failures, const struct failure *seen)
{
	size_t num_inbound = 0, last_inbound = 0, place = 0;
	for (size_t i = 0; i < failures->num; i++) {
		if (is_same(&failures->seen[i], seen))
			return i;
		if (!is_inbound(&failures->seen[i]))
			continue;
		num_inbound++;
		last_inbound = i;
	}
	if (failures->num < failures->max)
		place = failures->num++;
	else {
		place = num_inbound > failures->max / 2 ? last_inbound : failures->num - 1;
		failures->num_left_out++;
	}
	CHECK(place < failures->num && failures->num <= failures->max);
	failures->seen[place].num = 0;
	return place;
}

void failures_add(struct failures *failures, const struct failure *seen, int64_t wall_ms)
{
	CHECK(pthread_mutex_lock(&failures->lock) == 0);
	size_t at = place_of(failures, seen);
	struct failure now = *seen;
	now.num = failures->seen[at].num + 1;
	now.first_wall_ms = now.num == 1 ? wall_ms : failures->seen[at].first_wall_ms;
	now.last_wall_ms = wall_ms;
	memmove(&failures->seen[1], &failures->seen[0], at * sizeof(struct failure));
	failures->seen[0] = now;
	CHECK(pthread_mutex_unlock(&failures->lock) == 0);
}

size_t failures_copy(struct failures *failures, struct failure *out, size_t max)
{
	CHECK(pthread_mutex_lock(&failures->lock) == 0);
	size_t num = failures->num < max ? failures->num : max;
	memcpy(out, failures->seen, num * sizeof(struct failure));
	CHECK(pthread_mutex_unlock(&failures->lock) == 0);
	return num;
}

uint64_t failures_num_left_out(struct failures *failures)
{
	CHECK(pthread_mutex_lock(&failures->lock) == 0);
	uint64_t num = failures->num_left_out;
	CHECK(pthread_mutex_unlock(&failures->lock) == 0);
	return num;
}
