#include "control/registry/leaf_owners.h"
#include "base/core/check.h"

#include "base/core/hash.h"
#include "base/core/mem.h"
#include "base/core/table.h"
#include "control/registry/svid_holders.h"

enum { LEAVES = 2, NODES_EXPECTED = 16384 };

struct leaf {
	struct table_link link;
	struct node *node;
	uint8_t hash[DIGEST_LEN];
	bool is_set, proves_claims;
};

struct node { /* one SVID holder */
	struct table_link link;
	uint8_t key_hash[DIGEST_LEN];
	struct leaf leaves[LEAVES]; /* newest first */
};

struct leaf_owners {
	struct store_watch watch;
	struct store *store;
	/* By digest. A sidecar can make any number of keys before it presents one, but the seed is secret. */
	struct table nodes, leaves;
};

static uint64_t hash_of(const struct table *table, const uint8_t digest[DIGEST_LEN])
{
	return hash_bytes(span_of(digest, DIGEST_LEN), table->seed);
}

static bool is_of_key(const struct table_link *link, const void *key_hash)
{
	return memcmp(container_of(link, const struct node, link)->key_hash, key_hash, DIGEST_LEN) == 0;
}

static struct node *node_find(const struct leaf_owners *owners, const uint8_t key_hash[DIGEST_LEN])
{
	struct table_link *link = table_find(&owners->nodes, hash_of(&owners->nodes, key_hash), is_of_key, key_hash);
	return link == NULL ? NULL : container_of(link, struct node, link);
}

static bool is_of_leaf(const struct table_link *link, const void *leaf_key_hash)
{
	return memcmp(container_of(link, const struct leaf, link)->hash, leaf_key_hash, DIGEST_LEN) == 0;
}

static void leaf_unlink(struct leaf_owners *owners, struct leaf *leaf)
{
	if (!leaf->is_set)
		return;
	table_remove(&owners->leaves, &leaf->link);
	leaf->is_set = false;
}

static void leaf_link(struct leaf_owners *owners, struct node *node, unsigned place, const struct leaf *from)
{
	struct leaf *leaf = &node->leaves[place];
	CHECK(place < LEAVES && !leaf->is_set); /* else it would be in the table twice */
	*leaf = (struct leaf){.node = node, .is_set = true, .proves_claims = from->proves_claims};
	memcpy(leaf->hash, from->hash, DIGEST_LEN);
	table_add(&owners->leaves, &leaf->link, hash_of(&owners->leaves, leaf->hash));
}

static void put(void *arg, const struct svid_holder *svid_holder)
{
	struct leaf_owners *owners = arg;
	struct node *node = node_find(owners, svid_holder->key_hash);
	if (svid_holder->serial_len == 0)
		return; /* no certificate yet */
	if (node == NULL) {
		node = mem_new(struct node);
		memcpy(node->key_hash, svid_holder->key_hash, DIGEST_LEN);
		table_add(&owners->nodes, &node->link, hash_of(&owners->nodes, node->key_hash));
	}
	struct leaf newest = {.proves_claims = svid_holder->proves_claims}, before = node->leaves[0];
	memcpy(newest.hash, svid_holder->leaf_key_hash, DIGEST_LEN);
	bool is_new = !before.is_set || memcmp(before.hash, newest.hash, DIGEST_LEN) != 0;
	leaf_unlink(owners, &node->leaves[0]);
	if (is_new && before.is_set) {
		leaf_unlink(owners, &node->leaves[1]);
		leaf_link(owners, node, 1, &before);
	}
	leaf_link(owners, node, 0, &newest);
}

static void drop(void *arg, struct table_link *link)
{
	struct leaf_owners *owners = arg;
	struct node *node = container_of(link, struct node, link);
	for (unsigned i = 0; i < LEAVES; i++)
		leaf_unlink(owners, &node->leaves[i]);
	table_remove(&owners->nodes, &node->link);
	mem_free(node);
}

static void on_change(struct store_watch *watch, const char *key, const struct store_value *value)
{
	struct leaf_owners *owners = container_of(watch, struct leaf_owners, watch);
	_cleanup_(svid_holder_done) struct svid_holder svid_holder = {0};
	uint8_t key_hash[DIGEST_LEN];
	if (!svid_holders_key_parse(key, key_hash))
		return;
	if (value != NULL && svid_holders_find(owners->store, key_hash, &svid_holder) == ERR_NONE) {
		put(owners, &svid_holder);
		return;
	}
	struct node *node = node_find(owners, key_hash);
	if (node != NULL)
		drop(owners, &node->link);
}

struct leaf_owners *leaf_owners_new(struct store *store)
{
	struct leaf_owners *owners = mem_new(struct leaf_owners);
	owners->store = store;
	table_init(&owners->nodes, NODES_EXPECTED);
	table_init(&owners->leaves, NODES_EXPECTED);
	svid_holders_list(store, put, owners);
	store_watch_start(store, &owners->watch, SVID_HOLDERS_PREFIX, on_change);
	return owners;
}

void leaf_owners_free(struct leaf_owners *owners)
{
	store_watch_stop(&owners->watch);
	table_each(&owners->nodes, drop, owners);
	table_done(&owners->nodes);
	table_done(&owners->leaves);
	mem_free(owners);
}

bool leaf_owners_find(const struct leaf_owners *owners, const uint8_t leaf_key_hash[DIGEST_LEN], struct leaf_owner *out)
{
	const struct table *leaves = &owners->leaves;
	struct table_link *link = table_find(leaves, hash_of(leaves, leaf_key_hash), is_of_leaf, leaf_key_hash);
	if (link == NULL)
		return false;
	const struct leaf *leaf = container_of(link, struct leaf, link);
	CHECK(leaf->is_set);
	memcpy(out->key_hash, leaf->node->key_hash, DIGEST_LEN);
	out->proves_claims = leaf->proves_claims;
	return true;
}
