#include "control/registry/leaf_owners.h"

#include "base/core/addr.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/registry/svid_holders.h"

enum { BUCKETS = 16384, LEAVES = 2 };

struct leaf {
	struct leaf *next; /* in its bucket */
	struct node *node;
	uint8_t hash[DIGEST_LEN];
	bool is_set, proves_claims;
};

struct node {              /* one SVID holder */
	struct node *next; /* in its bucket */
	uint8_t key_hash[DIGEST_LEN];
	struct leaf leaves[LEAVES]; /* newest first */
};

struct leaf_owners {
	struct store_watch watch;
	struct store *store;
	uint64_t seed; /* secret: a sidecar can make any number of keys before it presents one */
	struct node *nodes[BUCKETS];
	struct leaf *leaves[BUCKETS];
};

static size_t bucket_of(const struct leaf_owners *owners, const uint8_t hash[DIGEST_LEN])
{
	struct addr word = {.port = 0};
	memcpy(word.ip.bytes, hash, sizeof word.ip.bytes);
	return addr_hash(&word, owners->seed) % BUCKETS;
}

static struct node **node_slot(struct leaf_owners *owners, const uint8_t key_hash[DIGEST_LEN])
{
	struct node **slot = &owners->nodes[bucket_of(owners, key_hash)];
	while (*slot != NULL && memcmp((*slot)->key_hash, key_hash, DIGEST_LEN) != 0)
		slot = &(*slot)->next;
	return slot;
}

static void leaf_unlink(struct leaf_owners *owners, struct leaf *leaf)
{
	if (!leaf->is_set)
		return;
	struct leaf **slot = &owners->leaves[bucket_of(owners, leaf->hash)];
	while (*slot != leaf)
		slot = &(*slot)->next;
	*slot = leaf->next;
	leaf->is_set = false;
}

static void leaf_link(struct leaf_owners *owners, struct node *node, unsigned place, const struct leaf *from)
{
	struct leaf *leaf = &node->leaves[place];
	struct leaf **slot = &owners->leaves[bucket_of(owners, from->hash)];
	*leaf = (struct leaf){.next = *slot, .node = node, .is_set = true, .proves_claims = from->proves_claims};
	memcpy(leaf->hash, from->hash, DIGEST_LEN);
	*slot = leaf;
}

static void put(void *arg, const struct svid_holder *svid_holder)
{
	struct leaf_owners *owners = arg;
	struct node **slot = node_slot(owners, svid_holder->key_hash), *node = *slot;
	if (svid_holder->serial_len == 0)
		return; /* no certificate yet */
	if (node == NULL) {
		node = *slot = mem_new(struct node);
		memcpy(node->key_hash, svid_holder->key_hash, DIGEST_LEN);
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

static void drop(struct leaf_owners *owners, struct node **slot)
{
	struct node *node = *slot;
	for (unsigned i = 0; i < LEAVES; i++)
		leaf_unlink(owners, &node->leaves[i]);
	*slot = node->next;
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
	struct node **slot = node_slot(owners, key_hash);
	if (*slot != NULL)
		drop(owners, slot);
}

struct leaf_owners *leaf_owners_new(struct store *store)
{
	struct leaf_owners *owners = mem_new(struct leaf_owners);
	owners->store = store;
	owners->seed = random_u64();
	svid_holders_list(store, put, owners);
	store_watch_start(store, &owners->watch, SVID_HOLDERS_PREFIX, on_change);
	return owners;
}

void leaf_owners_free(struct leaf_owners *owners)
{
	store_watch_stop(&owners->watch);
	for (size_t i = 0; i < BUCKETS; i++)
		while (owners->nodes[i] != NULL)
			drop(owners, &owners->nodes[i]);
	mem_free(owners);
}

bool leaf_owners_find(const struct leaf_owners *owners, const uint8_t leaf_key_hash[DIGEST_LEN], struct leaf_owner *out)
{
	for (const struct leaf *leaf = owners->leaves[bucket_of(owners, leaf_key_hash)]; leaf != NULL;
		leaf = leaf->next)
		if (memcmp(leaf->hash, leaf_key_hash, DIGEST_LEN) == 0) {
			memcpy(out->key_hash, leaf->node->key_hash, DIGEST_LEN);
			out->proves_claims = leaf->proves_claims;
			return true;
		}
	return false;
}
