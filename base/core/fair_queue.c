#include "base/core/fair_queue.h"
#include "base/core/check.h"
#include "base/core/mem.h"

enum { NUM_BUCKETS = 4096 }; /* chains of a few nodes with 15,000 sources */

struct fair_node { /* a key; the root has none */
	struct list_link bucket;
	struct list_link turn; /* among the children of its parent */
	struct fair_node *parent;
	struct list children; /* in the order of their turns: nodes, or the entries of the finest key */
	bool has_entries;
	struct share_key key;
};

struct fair_queue {
	struct fair_node root;
	uint64_t seed;
	unsigned len;
	struct list buckets[NUM_BUCKETS];
};

struct fair_queue *fair_queue_new(uint64_t seed)
{
	struct fair_queue *queue = mem_new(struct fair_queue);
	queue->seed = seed;
	return queue;
}

void fair_queue_free(struct fair_queue *queue)
{
	if (queue == NULL)
		return;
	CHECK(queue->len == 0 && list_is_empty(&queue->root.children));
	mem_free(queue);
}

static struct list *bucket_of(struct fair_queue *queue, const struct share_key *key)
{
	return &queue->buckets[share_key_hash(key, queue->seed) % NUM_BUCKETS];
}

static struct fair_node *find_or_add(struct fair_queue *queue, struct fair_node *parent, const struct share_key *key)
{
	struct list *bucket = bucket_of(queue, key);
	LIST_EACH(bucket, struct fair_node, node, bucket)
		if (share_key_eq(&node->key, key) && node->parent == parent)
			return node;
	struct fair_node *node = mem_new(struct fair_node);
	node->parent = parent;
	node->key = *key;
	list_push_front(bucket, &node->bucket);
	list_push_back(&parent->children, &node->turn);
	return node;
}

void fair_queue_push(struct fair_queue *queue, const struct share_key *keys, size_t num_keys, struct fair_entry *entry)
{
	struct fair_node *node = &queue->root;
	CHECK(entry->node == NULL && num_keys > 0 && num_keys <= SHARE_SOURCE_KEYS_MAX);
	for (size_t i = 0; i < num_keys; i++)
		node = find_or_add(queue, node, &keys[i]);
	CHECK(node->has_entries || list_is_empty(&node->children)); /* one kind of key is always the finest */
	node->has_entries = true;
	entry->node = node;
	list_push_back(&node->children, &entry->link);
	queue->len++;
}

struct fair_entry *fair_queue_next(const struct fair_queue *queue)
{
	const struct fair_node *node = &queue->root;
	while (node != NULL && !node->has_entries)
		node = LIST_FIRST(&node->children, struct fair_node, turn);
	return node == NULL ? NULL : LIST_FIRST(&node->children, struct fair_entry, link);
}

/* An empty node ends; one that had its turn goes behind its neighbors. */
static void leave(struct fair_node *node, bool had_turn)
{
	if (list_is_empty(&node->children)) {
		list_remove(&node->turn);
		list_remove(&node->bucket);
		mem_free(node);
	} else if (had_turn) {
		list_remove(&node->turn);
		list_push_back(&node->parent->children, &node->turn);
	}
}

void fair_queue_remove(struct fair_queue *queue, struct fair_entry *entry)
{
	CHECK(queue->len > 0 && entry->node != NULL);
	bool had_turn = fair_queue_next(queue) == entry;
	struct fair_node *node = entry->node;
	list_remove(&entry->link);
	entry->node = NULL;
	queue->len--;
	while (node != &queue->root) {
		struct fair_node *parent = node->parent;
		leave(node, had_turn);
		node = parent;
	}
}

void fair_queue_pass(struct fair_queue *queue, struct fair_entry *next)
{
	CHECK(next != NULL && fair_queue_next(queue) == next);
	for (struct fair_node *node = next->node; node != &queue->root; node = node->parent)
		leave(node, true);
}

unsigned fair_queue_len(const struct fair_queue *queue)
{
	return queue->len;
}
