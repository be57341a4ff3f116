#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/verify.h"

#define WAYS 4 /* entries per place; the oldest is replaced (no struct table: decision 043) */

struct entry {
	struct svid *svid; /* NULL: free */
	enum verify_role role;
	int64_t until_s;
	uint64_t added; /* a counter, for the age */
};

/* Only verified chains are stored, so a peer without a valid certificate cannot fill the cache. */
struct verify_cache {
	uint64_t generation;
	uint64_t num_added;
	size_t num_places;
	struct entry entries[];
};

struct verify_cache *verify_cache_new(size_t max_entries)
{
	size_t num_places = max_entries / WAYS > 0 ? max_entries / WAYS : 1;
	struct verify_cache *cache = mem_zalloc(sizeof(struct verify_cache) + num_places * WAYS * sizeof(struct entry));
	cache->num_places = num_places;
	return cache;
}

static void forget(struct entry *entry)
{
	svid_unref(entry->svid);
	*entry = (struct entry){0};
}

static void forget_all(struct verify_cache *cache)
{
	for (size_t i = 0; i < cache->num_places * WAYS; i++)
		forget(&cache->entries[i]);
}

void verify_cache_free(struct verify_cache *cache)
{
	if (cache == NULL)
		return;
	forget_all(cache);
	mem_free(cache);
}

static struct entry *place_of(struct verify_cache *cache, const uint8_t hash[32])
{
	uint64_t number;
	memcpy(&number, hash, sizeof(number));
	return &cache->entries[(number % cache->num_places) * WAYS];
}

static struct entry *find(struct entry *place, const uint8_t hash[32], const struct verify_input *input)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct entry *entry = &place[i];
		if (entry->svid == NULL || entry->role != input->role ||
			memcmp(svid_chain_hash(entry->svid), hash, 32) != 0)
			continue;
		if (input->now_s >= entry->until_s || input->now_s < svid_not_before_s(entry->svid))
			forget(entry);
		else
			return entry;
	}
	return NULL;
}

static void add(
	struct verify_cache *cache, struct entry *place, enum verify_role role, struct svid *svid, int64_t until_s)
{
	struct entry *oldest = &place[0];
	for (size_t i = 1; i < WAYS; i++)
		if (place[i].svid == NULL || (oldest->svid != NULL && place[i].added < oldest->added))
			oldest = &place[i];
	CHECK(svid != NULL && place >= cache->entries && place + WAYS <= cache->entries + cache->num_places * WAYS);
	forget(oldest);
	*oldest = (struct entry){.svid = svid_ref(svid), .role = role, .until_s = until_s, .added = ++cache->num_added};
}

static void enter_generation(struct verify_cache *cache, uint64_t generation)
{
	if (cache->generation == generation)
		return;
	forget_all(cache);
	cache->generation = generation;
}

enum err verify_chain_cached(struct verify_cache *cache, uint64_t generation, const struct verify_input *input,
	struct svid **out_svid, struct why *why)
{
	uint8_t hash[32];
	enter_generation(cache, generation);
	svid_digest_chain(input->chain, input->num_chain, hash);
	struct entry *place = place_of(cache, hash);
	const struct entry *known = find(place, hash, input);
	if (known != NULL) {
		/* The expected identity depends on the caller, not on the chain: it is checked each time. */
		RETURN_IF_ERR(verify_identity(input, svid_id(known->svid), why));
		*out_svid = svid_ref(known->svid);
		return ERR_NONE;
	}
	int64_t until_s;
	RETURN_IF_ERR(verify_chain_until(input, out_svid, &until_s, why));
	add(cache, place, input->role, *out_svid, until_s);
	return ERR_NONE;
}
