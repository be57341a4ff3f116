/* A seeded hash for tables with untrusted keys: with a random seed (random_u64()) an attacker cannot choose colliding
 * keys. Not for cryptography. */
#pragma once

#include "base/core/span.h"

uint64_t hash_mix(uint64_t a, uint64_t b); /* one round: multiply, then xor both halves */
uint64_t hash_bytes(struct span bytes, uint64_t seed);
