/* The key by which clients of a limited resource are counted: an address, an IPv6 /64 (one subscriber's network), an
 * identity. A value of 17 bytes; equal keys are equal bytes. */
#pragma once

#include "base/core/addr.h"

enum share_key_kind { SHARE_KEY_ADDRESS, SHARE_KEY_PREFIX64, SHARE_KEY_IDENTITY };
#define NUM_SHARE_KEY_KINDS 3

struct share_key {
	uint8_t kind; /* enum share_key_kind */
	uint8_t bytes[16];
};

struct share_key share_key_of_ip(const struct ip_addr *ip);
struct share_key share_key_of_prefix64(const struct ip_addr *ip);          /* IPv4: the address */
struct share_key share_key_of_bytes(struct span text);                     /* hash of an identity's text, 128 bits */
struct share_key share_key_joined(struct share_key a, struct share_key b); /* the pair; of the kind of b */
bool share_key_eq(const struct share_key *a, const struct share_key *b);
uint64_t share_key_hash(const struct share_key *key, uint64_t seed);

/* The keys of a source, the coarsest first: {/64, address} for IPv6, {address} for IPv4. Returns their number. */
#define SHARE_SOURCE_KEYS_MAX 2
size_t share_keys_of_source(const struct ip_addr *ip, struct share_key out[SHARE_SOURCE_KEYS_MAX]);
