#include "base/core/shares.h"
#include "base/core/check.h"
#include "base/core/mem.h"

enum {
	NONE = 0, /* entry 0 is never used, so a zeroed index means "none" */
	FIRST_ENTRIES = 16,
	EXACT_LEVELS = 16,     /* smaller weights have a level each */
	LEVELS_PER_OCTAVE = 8, /* larger ones: eight levels per octave */
	NUM_LEVELS = 512,      /* 16 + 8 * (64 - 4) = 496 */
	NUM_WORDS = NUM_LEVELS / 64,
};

/* One key of one class. 32-bit links into one array, and no struct table: see decision 043. */
struct entry {
	struct share_key key;
	uint8_t class;
	uint16_t level;
	uint32_t next;       /* in the hash chain or the free list */
	uint32_t lighter[2]; /* its neighbors in its level: {previous, next} */
	uint32_t num_shares; /* shares with this key */
	uint64_t held;
	struct share *oldest, *youngest; /* shares with this first key; NULL: it is in no level */
};

struct class
{
	struct shares_class options;
	uint64_t used;
	uint64_t occupied[NUM_WORDS]; /* one bit per level, set when it has an entry */
	uint32_t levels[NUM_LEVELS];
};

struct shares {
	uint64_t capacity, used, reserved, seed; /* reserved: the unused parts of all reserves */
	unsigned num_classes;
	uint32_t num_entries, first_free; /* num_entries is a power of two */
	struct entry *entries;
	uint32_t *places; /* twice as many as entries */
	struct class classes[];
};

/* --- entries --- */

static uint32_t *place_of(const struct shares *shares, unsigned class, const struct share_key *key)
{
	uint64_t hash = share_key_hash(key, shares->seed + class * 16);
	return &shares->places[(hash ^ hash >> 32) % (2 * (uint64_t)shares->num_entries)];
}

/* Grows the table: links the new entries into the free list and rehashes the used ones. */
static void grow(struct shares *shares, uint32_t num_entries)
{
	uint32_t old = shares->num_entries;
	CHECK(num_entries > old && shares->first_free == NONE);
	shares->entries = mem_realloc(shares->entries, num_entries * sizeof(*shares->entries));
	memset(shares->entries + old, 0, (num_entries - old) * sizeof(*shares->entries));
	mem_free(shares->places);
	shares->places = mem_calloc(2 * (size_t)num_entries, sizeof(*shares->places));
	shares->num_entries = num_entries;
	for (uint32_t i = 1; i < num_entries; i++) {
		struct entry *entry = &shares->entries[i];
		uint32_t *place = i < old ? place_of(shares, entry->class, &entry->key) : &shares->first_free;
		entry->next = *place;
		*place = i;
	}
}

static uint32_t find(const struct shares *shares, unsigned class, const struct share_key *key)
{
	uint32_t at = *place_of(shares, class, key);
	while (at != NONE && (shares->entries[at].class != class || !share_key_eq(&shares->entries[at].key, key)))
		at = shares->entries[at].next;
	return at;
}

static uint32_t find_or_add(struct shares *shares, unsigned class, const struct share_key *key)
{
	uint32_t at = find(shares, class, key);
	if (at != NONE)
		return at;
	if (shares->first_free == NONE)
		grow(shares, shares->num_entries * 2);
	at = shares->first_free;
	uint32_t *place = place_of(shares, class, key);
	shares->first_free = shares->entries[at].next;
	shares->entries[at] = (struct entry){.key = *key, .class = (uint8_t) class, .next = *place};
	*place = at;
	return at;
}

static void forget_if_unused(struct shares *shares, uint32_t at)
{
	struct entry *entry = &shares->entries[at];
	if (entry->num_shares > 0)
		return;
	uint32_t *next = place_of(shares, entry->class, &entry->key);
	CHECK(entry->held == 0 && entry->oldest == NULL); /* what its shares weighed is given back */
	for (; *next != at; next = &shares->entries[*next].next)
		CHECK(*next != NONE);
	*next = entry->next;
	entry->next = shares->first_free;
	shares->first_free = at;
}

/* --- levels: which key is the heaviest --- */

static unsigned level_of(uint64_t held)
{
	if (held < EXACT_LEVELS)
		return (unsigned)held;
	unsigned octave = 63 - (unsigned)__builtin_clzll(held); /* at least 4 */
	return EXACT_LEVELS + (octave - 4) * LEVELS_PER_OCTAVE + (unsigned)(held >> (octave - 3)) % LEVELS_PER_OCTAVE;
}

static void level_leave(struct shares *shares, uint32_t at)
{
	struct entry *entry = &shares->entries[at];
	struct class *class = &shares->classes[entry->class];
	CHECK(entry->lighter[0] != NONE || class->levels[entry->level] == at);
	if (entry->lighter[0] != NONE)
		shares->entries[entry->lighter[0]].lighter[1] = entry->lighter[1];
	else
		class->levels[entry->level] = entry->lighter[1];
	if (entry->lighter[1] != NONE)
		shares->entries[entry->lighter[1]].lighter[0] = entry->lighter[0];
	if (class->levels[entry->level] == NONE)
		class->occupied[entry->level / 64] &= ~(1ull << entry->level % 64);
}

static void level_enter(struct shares *shares, uint32_t at)
{
	struct entry *entry = &shares->entries[at];
	struct class *class = &shares->classes[entry->class];
	entry->level = (uint16_t)level_of(entry->held);
	CHECK(entry->level < NUM_LEVELS);
	entry->lighter[0] = NONE;
	entry->lighter[1] = class->levels[entry->level];
	if (entry->lighter[1] != NONE)
		shares->entries[entry->lighter[1]].lighter[0] = at;
	class->levels[entry->level] = at;
	class->occupied[entry->level / 64] |= 1ull << entry->level % 64;
}

static void set_held(struct shares *shares, uint32_t at, uint64_t held)
{
	struct entry *entry = &shares->entries[at];
	entry->held = held;
	if (entry->oldest == NULL || level_of(held) == entry->level)
		return;
	level_leave(shares, at);
	level_enter(shares, at);
}

static struct entry *heaviest(struct shares *shares, unsigned class)
{
	const struct class *of = &shares->classes[class];
	for (unsigned word = NUM_WORDS; word-- > 0;)
		if (of->occupied[word] != 0)
			return &shares->entries[of->levels[word * 64 + 63 -
							   (unsigned)__builtin_clzll(of->occupied[word])]];
	return NULL;
}

/* --- the shares of one first key, oldest first --- */

static void link_share(struct shares *shares, uint32_t at, struct share *share)
{
	struct entry *entry = &shares->entries[at];
	share->older = entry->youngest;
	share->younger = NULL;
	if (entry->youngest != NULL)
		entry->youngest->younger = share;
	entry->youngest = share;
	if (entry->oldest != NULL)
		return;
	entry->oldest = share;
	level_enter(shares, at);
}

static void unlink_share(struct shares *shares, uint32_t at, struct share *share)
{
	struct entry *entry = &shares->entries[at];
	/* A share that was copied, moved or given back twice is not the one in the list. */
	CHECK(share->older == NULL ? entry->oldest == share : share->older->younger == share);
	CHECK(share->younger == NULL ? entry->youngest == share : share->younger->older == share);
	if (share->older != NULL)
		share->older->younger = share->younger;
	else
		entry->oldest = share->younger;
	if (share->younger != NULL)
		share->younger->older = share->older;
	else
		entry->youngest = share->older;
	if (entry->oldest == NULL)
		level_leave(shares, at);
}

/* --- limits --- */

static uint64_t unused_reserve(const struct class *class)
{
	return class->used < class->options.reserve ? class->options.reserve - class->used : 0;
}

/* The unused reserves of the other classes are not available to this one. */
static uint64_t left_of_capacity(const struct shares *shares, const struct class *class)
{
	return shares->capacity - shares->used - (shares->reserved - unused_reserve(class));
}

static uint64_t left_of_class(const struct shares *shares, const struct class *class)
{
	return (class->options.max == 0 ? shares->capacity : class->options.max) - class->used;
}

static enum share_limit class_limit(const struct shares *shares, const struct class *class, uint64_t weight)
{
	if (weight > left_of_class(shares, class))
		return SHARE_LIMIT_CLASS;
	return weight > left_of_capacity(shares, class) ? SHARE_LIMIT_CAPACITY : SHARE_LIMIT_NONE;
}

static enum share_limit key_limit(const struct class *class, const struct share_key *key, uint64_t held, uint64_t more)
{
	static const enum share_limit limits[NUM_SHARE_KEY_KINDS] = {
		SHARE_LIMIT_ADDRESS, SHARE_LIMIT_PREFIX64, SHARE_LIMIT_IDENTITY};
	CHECK(key->kind < NUM_SHARE_KEY_KINDS);
	uint64_t cap = class->options.caps[key->kind];
	return cap != 0 && (held > cap || more > cap - held) ? limits[key->kind] : SHARE_LIMIT_NONE;
}

static enum share_limit keys_limit(
	const struct shares *shares, unsigned class, const struct share_key *keys, size_t num_keys, uint64_t weight)
{
	enum share_limit limit = SHARE_LIMIT_NONE;
	for (size_t i = 0; i < num_keys && limit == SHARE_LIMIT_NONE; i++)
		limit = key_limit(&shares->classes[class], &keys[i], shares_used_by(shares, class, &keys[i]), weight);
	return limit;
}

static void class_set_used(struct shares *shares, struct class *class, uint64_t used)
{
	shares->reserved -= unused_reserve(class);
	shares->used = shares->used - class->used + used;
	class->used = used;
	shares->reserved += unused_reserve(class);
	CHECK(class->used <= shares->used && shares->used <= shares->capacity);
}

const char *share_limit_label(enum share_limit limit)
{
	static const char *const labels[NUM_SHARE_LIMITS] = {
		"none", "capacity", "class", "address", "prefix64", "identity"};
	CHECK((unsigned)limit < NUM_SHARE_LIMITS);
	return labels[limit];
}

const char *share_limit_text(enum share_limit limit)
{
	static const char *const texts[NUM_SHARE_LIMITS] = {"no limit", "the total limit", "the limit of its class",
		"the limit per address", "the limit per /64 network", "the limit per identity"};
	CHECK((unsigned)limit < NUM_SHARE_LIMITS);
	return texts[limit];
}

/* --- the module --- */

struct shares *shares_new(const struct shares_options *options)
{
	CHECK(options->num_classes >= 1 && options->num_classes <= SHARES_CLASSES_MAX);
	struct shares *shares = mem_zalloc(sizeof(*shares) + options->num_classes * sizeof(*shares->classes));
	shares->capacity = options->capacity;
	shares->seed = options->seed;
	shares->num_classes = options->num_classes;
	for (unsigned i = 0; i < options->num_classes; i++) {
		shares->classes[i].options = options->classes[i];
		shares->reserved += options->classes[i].reserve;
		CHECK(options->classes[i].max == 0 || options->classes[i].reserve <= options->classes[i].max);
	}
	CHECK(shares->reserved <= shares->capacity);
	grow(shares, FIRST_ENTRIES);
	return shares;
}

void shares_free(struct shares *shares)
{
	if (shares == NULL)
		return;
	CHECK(shares->used == 0);
	for (unsigned i = 0; i < shares->num_classes; i++)
		CHECK(heaviest(shares, i) == NULL);
	mem_free(shares->entries);
	mem_free(shares->places);
	mem_free(shares);
}

enum share_limit shares_take(struct shares *shares, unsigned class, const struct share_key *keys, size_t num_keys,
	uint64_t weight, struct share *out)
{
	CHECK(class < shares->num_classes && num_keys <= SHARE_KEYS_MAX && weight > 0);
	enum share_limit limit = keys_limit(shares, class, keys, num_keys, weight);
	if (limit == SHARE_LIMIT_NONE)
		limit = class_limit(shares, &shares->classes[class], weight);
	if (limit != SHARE_LIMIT_NONE)
		return limit;
	*out = (struct share){
		.shares = shares, .weight = weight, .num_keys = (uint8_t)num_keys, .class = (uint8_t) class};
	class_set_used(shares, &shares->classes[class], shares->classes[class].used + weight);
	for (size_t i = 0; i < num_keys; i++) {
		out->entries[i] = find_or_add(shares, class, &keys[i]);
		shares->entries[out->entries[i]].num_shares++;
		set_held(shares, out->entries[i], shares->entries[out->entries[i]].held + weight);
	}
	if (num_keys > 0)
		link_share(shares, out->entries[0], out);
	return SHARE_LIMIT_NONE;
}

void shares_give(struct share *share)
{
	struct shares *shares = share->shares;
	if (shares == NULL)
		return;
	CHECK(share->class < shares->num_classes);
	struct class *class = &shares->classes[share->class];
	CHECK(class->used >= share->weight);
	class_set_used(shares, class, class->used - share->weight);
	if (share->num_keys > 0)
		unlink_share(shares, share->entries[0], share);
	for (size_t i = 0; i < share->num_keys; i++) {
		struct entry *entry = &shares->entries[share->entries[i]];
		CHECK(entry->num_shares > 0 && entry->held >= share->weight);
		entry->num_shares--;
		set_held(shares, share->entries[i], entry->held - share->weight);
		forget_if_unused(shares, share->entries[i]);
	}
	*share = (struct share){0};
}

enum share_limit shares_resize(struct share *share, uint64_t weight)
{
	struct shares *shares = share->shares;
	CHECK(shares != NULL && weight > 0);
	struct class *class = &shares->classes[share->class];
	uint64_t more = weight > share->weight ? weight - share->weight : 0;
	enum share_limit limit = more == 0 ? SHARE_LIMIT_NONE : class_limit(shares, class, more);
	for (size_t i = 0; i < share->num_keys && more > 0 && limit == SHARE_LIMIT_NONE; i++) {
		const struct entry *entry = &shares->entries[share->entries[i]];
		limit = key_limit(class, &entry->key, entry->held, more);
	}
	if (limit != SHARE_LIMIT_NONE)
		return limit;
	class_set_used(shares, class, class->used - share->weight + weight);
	for (size_t i = 0; i < share->num_keys; i++)
		set_held(shares, share->entries[i], shares->entries[share->entries[i]].held - share->weight + weight);
	share->weight = weight;
	return SHARE_LIMIT_NONE;
}

struct share *shares_oldest_of_heaviest(struct shares *shares, unsigned class)
{
	CHECK(class < shares->num_classes);
	const struct entry *entry = heaviest(shares, class);
	return entry == NULL ? NULL : entry->oldest;
}

struct share *shares_eviction_candidate(
	struct shares *shares, unsigned class, const struct share_key *keys, size_t num_keys, uint64_t weight)
{
	CHECK(class < shares->num_classes && num_keys <= SHARE_KEYS_MAX);
	uint32_t own = num_keys == 0 ? NONE : find(shares, class, &keys[0]);
	if (keys_limit(shares, class, keys, num_keys < 1 ? num_keys : 1, weight) != SHARE_LIMIT_NONE)
		return shares->entries[own].oldest;
	if (keys_limit(shares, class, keys, num_keys, weight) != SHARE_LIMIT_NONE)
		return NULL; /* shares are listed by first key only */
	const struct entry *entry = heaviest(shares, class);
	return entry == NULL || entry->held <= shares->entries[own].held + weight ? NULL : entry->oldest;
}

uint64_t shares_room(const struct shares *shares, unsigned class)
{
	CHECK(class < shares->num_classes);
	uint64_t of_class = left_of_class(shares, &shares->classes[class]);
	uint64_t of_all = left_of_capacity(shares, &shares->classes[class]);
	return of_class < of_all ? of_class : of_all;
}

uint64_t shares_used(const struct shares *shares, unsigned class)
{
	CHECK(class < shares->num_classes);
	return shares->classes[class].used;
}

uint64_t shares_used_by(const struct shares *shares, unsigned class, const struct share_key *key)
{
	CHECK(class < shares->num_classes);
	uint32_t at = find(shares, class, key);
	return at == NONE ? 0 : shares->entries[at].held;
}
