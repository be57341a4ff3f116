/* Who holds how much of one limited resource: connections, handshakes, tunnels, streams, window memory, claims.
 *
 * A resource has a capacity in units of the caller's choice. Its takers stand in classes (outbound, authenticated,
 * plaintext ...): each has a reserve that the other classes cannot take, and may have a maximum. Within a class each
 * taker has keys (its address, its /64, its identity), and each kind of key may have a cap: so no source and no
 * identity takes what the others of its class need.
 *
 * Keys live only while something is held, so memory is bounded by what is held. Every call costs the same, however
 * much is held. One thread: a resource of several workers is divided by their number. Pure. */
#pragma once

#include "base/core/share_key.h"

#define SHARES_CLASSES_MAX 6
#define SHARE_KEYS_MAX     3

struct shares;

struct shares_class {                       /* a zeroed one has no reserve and no bound but the capacity */
	uint64_t reserve;                   /* held free for this class: an outage of the others stays theirs */
	uint64_t max;                       /* 0: the capacity */
	uint64_t caps[NUM_SHARE_KEY_KINDS]; /* per key of that kind; 0: none */
};

struct shares_options {
	uint64_t capacity;
	unsigned num_classes;                            /* 1..SHARES_CLASSES_MAX */
	struct shares_class classes[SHARES_CLASSES_MAX]; /* the reserves fit the capacity together */
	uint64_t seed;                                   /* random_u64(): addresses are chosen by strangers */
};

/* Which limit stands in the way. */
enum share_limit {
	SHARE_LIMIT_NONE,
	SHARE_LIMIT_CAPACITY, /* what is left is in reserve for other classes, or nothing is left */
	SHARE_LIMIT_CLASS,
	SHARE_LIMIT_ADDRESS,
	SHARE_LIMIT_PREFIX64,
	SHARE_LIMIT_IDENTITY,
};
#define NUM_SHARE_LIMITS 6
const char *share_limit_label(enum share_limit limit); /* snake_case, for metrics */
const char *share_limit_text(enum share_limit limit);  /* a noun phrase: "the limit per address" */

struct share {                         /* embedded in what holds it; a zeroed one holds nothing */
	struct shares *shares;         /* NULL: nothing is held */
	struct share *older, *younger; /* of those with the same first key */
	uint64_t weight;
	uint32_t entries[SHARE_KEYS_MAX];
	uint8_t num_keys, class;
};

struct shares *shares_new(const struct shares_options *options);
void shares_free(struct shares *shares); /* everything given back before */
DEFINE_CLEANUP(struct shares *, shares_free)

/* Takes `weight` units (at least 1) for a taker of these keys (up to SHARE_KEYS_MAX, all different), or says which
 * limit stands in the way and leaves *out untouched. The first key is the one by which takers are weighed when one must
 * give way: the coarsest. */
enum share_limit shares_take(struct shares *shares, unsigned class, const struct share_key *keys, size_t num_keys,
	uint64_t weight, struct share *out) _must_use_;
void shares_give(struct share *share); /* all of it; allowed when nothing is held */
/* Another weight for what is held: less always goes, more may meet a limit (then nothing changes). */
enum share_limit shares_resize(struct share *share, uint64_t weight) _must_use_;

/* The share that is to give way to such a newcomer: the oldest one of the newcomer's own first key when the cap of that
 * key is what keeps it out; else the oldest of the heaviest first key of the class, if that key holds more than the
 * newcomer's would. NULL: the newcomer has no better claim than those who are there. The caller ends its holder, which
 * gives it back, and takes again. Keys of more than 16 units are weighed to within an eighth. */
struct share *shares_to_give_way(
	struct shares *shares, unsigned class, const struct share_key *keys, size_t num_keys, uint64_t weight);
struct share *shares_oldest_of_heaviest(struct shares *shares, unsigned class); /* NULL: nothing is held */

uint64_t shares_room(const struct shares *shares, unsigned class); /* units left for that class, whatever the keys */
uint64_t shares_used(const struct shares *shares, unsigned class);
uint64_t shares_used_by(const struct shares *shares, unsigned class, const struct share_key *key);
uint64_t shares_capacity(const struct shares *shares);
