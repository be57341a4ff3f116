#include "base/core/hash.h"

uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 product =
		(unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(struct span bytes, uint64_t seed)
{
	uint64_t hash = hash_mix(seed, bytes.len);
	while (bytes.len > 0) {
		uint64_t word = 0;
		size_t len = bytes.len < sizeof word ? bytes.len : sizeof word;
		memcpy(&word, bytes.ptr, len);
		hash = hash_mix(hash ^ word, seed + 1);
		bytes = span_from(bytes, len);
	}
	return hash;
}
