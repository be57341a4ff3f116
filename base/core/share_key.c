#include "base/core/share_key.h"
#include "base/core/hash.h"

struct share_key share_key_of_ip(const struct ip_addr *ip)
{
	struct share_key key = {.kind = SHARE_KEY_ADDRESS};
	memcpy(key.bytes, ip->bytes, sizeof key.bytes);
	return key;
}

struct share_key share_key_of_prefix64(const struct ip_addr *ip)
{
	struct share_key key = share_key_of_ip(ip);
	if (ip->family == AF_INET6) {
		key.kind = SHARE_KEY_PREFIX64;
		memset(key.bytes + 8, 0, 8);
	}
	return key;
}

static struct share_key key_of_halves(uint8_t kind, uint64_t first, uint64_t second)
{
	struct share_key key = {.kind = kind};
	memcpy(key.bytes, &first, sizeof first);
	memcpy(key.bytes + sizeof first, &second, sizeof second);
	return key;
}

/* Two constant seeds: equal texts have equal keys in every table. The operator assigns identities, so a peer cannot
 * choose colliding ones. */
struct share_key share_key_of_bytes(struct span text)
{
	return key_of_halves(SHARE_KEY_IDENTITY, hash_bytes(text, 0x51), hash_bytes(text, 0xa7));
}

struct share_key share_key_joined(struct share_key a, struct share_key b)
{
	const struct share_key both[] = {a, b};
	struct span bytes = span_of(both, sizeof both);
	return key_of_halves(b.kind, hash_bytes(bytes, 0x51), hash_bytes(bytes, 0xa7));
}

bool share_key_eq(const struct share_key *a, const struct share_key *b)
{
	return a->kind == b->kind && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

uint64_t share_key_hash(const struct share_key *key, uint64_t seed)
{
	return hash_bytes(span_of(key->bytes, sizeof key->bytes), seed + key->kind);
}

size_t share_keys_of_source(const struct ip_addr *ip, struct share_key out[SHARE_SOURCE_KEYS_MAX])
{
	size_t num = 0;
	if (ip->family == AF_INET6)
		out[num++] = share_key_of_prefix64(ip);
	out[num++] = share_key_of_ip(ip);
	return num;
}
