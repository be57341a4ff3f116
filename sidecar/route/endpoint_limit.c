#include "sidecar/route/endpoint_limit.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/table.h"
#include <pthread.h>

struct used {
	struct table_link link;
	struct addr endpoint;
	size_t num; /* connections; none: it is freed */
};

struct endpoint_limit {
	pthread_mutex_t lock;
	struct table table;
	size_t max, num_full;
};

struct endpoint_limit *endpoint_limit_new(size_t max)
{
	CHECK(max > 0);
	struct endpoint_limit *limit = mem_new(struct endpoint_limit);
	CHECK(pthread_mutex_init(&limit->lock, NULL) == 0);
	table_init(&limit->table, 0);
	limit->max = max;
	return limit;
}

void endpoint_limit_free(struct endpoint_limit *limit)
{
	if (limit == NULL)
		return;
	CHECK(limit->table.num == 0 && pthread_mutex_destroy(&limit->lock) == 0);
	table_done(&limit->table);
	mem_free(limit);
}

static bool is_of(const struct table_link *link, const void *endpoint)
{
	return addr_eq(&container_of(link, const struct used, link)->endpoint, endpoint);
}

/* With the lock; NULL: no connection. */
static struct used *find(const struct endpoint_limit *limit, const struct addr *endpoint)
{
	struct table_link *link = table_find(&limit->table, addr_hash(endpoint, limit->table.seed), is_of, endpoint);
	return link == NULL ? NULL : container_of(link, struct used, link);
}

static struct used *add(struct endpoint_limit *limit, const struct addr *endpoint)
{
	struct used *used = mem_new(struct used);
	used->endpoint = *endpoint;
	table_add(&limit->table, &used->link, addr_hash(endpoint, limit->table.seed));
	return used;
}

bool endpoint_limit_take(struct endpoint_limit *limit, const struct addr *endpoint)
{
	CHECK(pthread_mutex_lock(&limit->lock) == 0);
	struct used *used = find(limit, endpoint);
	bool has_room = used == NULL || used->num < limit->max;
	if (used == NULL)
		used = add(limit, endpoint);
	used->num += has_room;
	limit->num_full += has_room && used->num == limit->max;
	CHECK(used->num <= limit->max && pthread_mutex_unlock(&limit->lock) == 0);
	return has_room;
}

void endpoint_limit_give_back(struct endpoint_limit *limit, const struct addr *endpoint)
{
	CHECK(pthread_mutex_lock(&limit->lock) == 0);
	struct used *used = find(limit, endpoint);
	CHECK(used != NULL && used->num > 0);
	limit->num_full -= used->num == limit->max;
	if (--used->num == 0) {
		table_remove(&limit->table, &used->link);
		mem_free(used);
	}
	CHECK(pthread_mutex_unlock(&limit->lock) == 0);
}

bool endpoint_limit_is_full(struct endpoint_limit *limit, const struct addr *endpoint)
{
	CHECK(pthread_mutex_lock(&limit->lock) == 0);
	const struct used *used = find(limit, endpoint);
	bool is_full = used != NULL && used->num >= limit->max;
	CHECK(pthread_mutex_unlock(&limit->lock) == 0);
	return is_full;
}

size_t endpoint_limit_num_full(struct endpoint_limit *limit)
{
	CHECK(pthread_mutex_lock(&limit->lock) == 0);
	size_t num = limit->num_full;
	CHECK(pthread_mutex_unlock(&limit->lock) == 0);
	return num;
}

size_t endpoint_limit_max(const struct endpoint_limit *limit)
{
	return limit->max;
}
