/* A seeded hash for tables whose keys come from outside: with a random seed (random_u64()) an outsider cannot choose
 * keys that fall together. Not for cryptography. */
#pragma once

#include "base/core/span.h"

uint64_t hash_mix(uint64_t a, uint64_t b); /* one round: multiply and fold, both halves of the product count */
uint64_t hash_bytes(struct span bytes, uint64_t seed);
