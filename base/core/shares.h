/* Fair shares of one limited resource: connections, handshakes, tunnels, streams, flow-control memory, claims.
 *
 * A resource has a capacity in units of the caller's choice. Its clients belong to classes (outbound, authenticated,
 * plaintext ...). A class has a reserve that the other classes cannot take, and may have a maximum. Within a class a
 * client has keys (address, /64, identity), and each kind of key may have a cap, so no source and no identity takes
 * the whole class.
 *
 * A key exists only while it has shares, so memory is bounded by the capacity. Every call takes constant time. Not
 * thread-safe: a resource of several workers is divided by their number. Pure. */
#pragma once

#include "base/core/share_key.h"

#define SHARES_CLASSES_MAX 6
#define SHARE_KEYS_MAX     3

struct shares;

struct shares_class {                       /* zeroed: no reserve, no limit but the capacity */
	uint64_t reserve;                   /* kept free for this class, also when the others exhaust the rest */
	uint64_t max;                       /* 0: the capacity */
	uint64_t caps[NUM_SHARE_KEY_KINDS]; /* per key of that kind; 0: none */
};

struct shares_options {
	uint64_t capacity;
	unsigned num_classes;                            /* 1..SHARES_CLASSES_MAX */
	struct shares_class classes[SHARES_CLASSES_MAX]; /* the sum of the reserves is at most the capacity */
	uint64_t seed;                                   /* random_u64(): peers choose addresses */
};

/* The limit that refuses a request. */
enum share_limit {
	SHARE_LIMIT_NONE,
	SHARE_LIMIT_CAPACITY, /* the rest is reserved for other classes, or nothing is left */
	SHARE_LIMIT_CLASS,
	SHARE_LIMIT_ADDRESS,
	SHARE_LIMIT_PREFIX64,
	SHARE_LIMIT_IDENTITY,
};
#define NUM_SHARE_LIMITS 6
const char *share_limit_label(enum share_limit limit); /* snake_case, for metrics */
const char *share_limit_text(enum share_limit limit);  /* a noun phrase: "the limit per address" */

struct share {                         /* embedded in its owner; zeroed is empty */
	struct shares *shares;         /* NULL: empty */
	struct share *older, *younger; /* the list of the first key */
	uint64_t weight;
	uint32_t entries[SHARE_KEYS_MAX];
	uint8_t num_keys, class;
};

struct shares *shares_new(const struct shares_options *options);
void shares_free(struct shares *shares); /* all shares must be released */
DEFINE_CLEANUP(struct shares *, shares_free)

/* Takes `weight` units (at least 1) for a client with these keys (up to SHARE_KEYS_MAX, all different), or returns the
 * limit that refuses it and leaves *out untouched. Eviction compares clients by their first key: pass the coarsest
 * first. */
enum share_limit shares_take(struct shares *shares, unsigned class, const struct share_key *keys, size_t num_keys,
	uint64_t weight, struct share *out) _must_use_;
void shares_give(struct share *share); /* releases all units; allowed when empty */
/* Changes the weight: less always succeeds, more can be refused by a limit (then nothing changes). */
enum share_limit shares_resize(struct share *share, uint64_t weight) _must_use_;

/* The share to evict for such a request. If the cap of its first key refuses it: the oldest share of that key. Else the
 * oldest share of the heaviest first key of the class, if that key has more units than the request's would. NULL:
 * nothing to evict. The caller closes the owner of the share, which releases it, and takes again. Weights above 16
 * units are compared to within an eighth. */
struct share *shares_eviction_candidate(
	struct shares *shares, unsigned class, const struct share_key *keys, size_t num_keys, uint64_t weight);
struct share *shares_oldest_of_heaviest(struct shares *shares, unsigned class); /* NULL: no share */

uint64_t shares_room(
	const struct shares *shares, unsigned class); /* units left for that class, without regard to keys */
uint64_t shares_used(const struct shares *shares, unsigned class);
uint64_t shares_used_by(const struct shares *shares, unsigned class, const struct share_key *key);
