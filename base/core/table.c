#include "base/core/table.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"

enum { LEAST_BUCKETS = 16 };

static struct table_link **bucket_of(const struct table *table, uint64_t hash)
{
	return &table->buckets[(hash ^ hash >> 32) & (table->num_buckets - 1)];
}

static void resize(struct table *table, size_t num_buckets)
{
	CHECK(num_buckets > 0 && (num_buckets & (num_buckets - 1)) == 0); /* bucket_of() masks */
	struct table_link **old = table->buckets;
	size_t num_old = table->num_buckets;
	table->buckets = mem_calloc(num_buckets, sizeof(*table->buckets));
	table->num_buckets = num_buckets;
	for (size_t i = 0; i < num_old; i++)
		for (struct table_link *link = old[i], *next; link != NULL; link = next) {
			next = link->next;
			struct table_link **bucket = bucket_of(table, link->hash);
			link->next = *bucket;
			*bucket = link;
		}
	mem_free(old);
}

void table_init(struct table *table, size_t expected)
{
	*table = (struct table){.seed = random_u64()};
	size_t num_buckets = LEAST_BUCKETS;
	while (num_buckets < expected)
		num_buckets *= 2;
	if (expected > 0)
		resize(table, num_buckets);
}

void table_done(struct table *table)
{
	CHECK(table->num == 0);
	mem_free(table->buckets);
	table->buckets = NULL;
	table->num_buckets = 0;
}

struct table_link *table_find(const struct table *table, uint64_t hash, table_match_fn *match, const void *key)
{
	if (table->num == 0)
		return NULL;
	struct table_link *link = *bucket_of(table, hash);
	while (link != NULL && !(link->hash == hash && match(link, key)))
		link = link->next;
	return link;
}

void table_add(struct table *table, struct table_link *link, uint64_t hash)
{
	if (table->num >= table->num_buckets)
		resize(table, table->num_buckets == 0 ? LEAST_BUCKETS : 2 * table->num_buckets);
	struct table_link **bucket = bucket_of(table, hash);
	link->hash = hash;
	link->next = *bucket;
	*bucket = link;
	table->num++;
}

void table_remove(struct table *table, struct table_link *link)
{
	CHECK(table->num > 0);
	struct table_link **at = bucket_of(table, link->hash);
	while (*at != link) {
		CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = link->next;
	link->next = NULL;
	table->num--;
}

void table_each(const struct table *table, void (*visit)(void *arg, struct table_link *link), void *arg)
{
	for (size_t i = 0; i < table->num_buckets; i++)
		for (struct table_link *link = table->buckets[i], *next; link != NULL; link = next) {
			next = link->next;
			visit(arg, link);
		}
}
