#include "control/serve/enroll_limit.h"
#include "base/core/mem.h"
#include "base/core/rates.h"

enum {
	KEY_PER_MINUTE = 60, /* a sidecar attests at its start and when its connection was refused */
	KEY_BURST = 5,
	/* Reading a request and finding its key costs less than the handshake before it. */
	READ_ALLOWANCE = 50,
};

struct enroll_limit {
	struct rates *addresses, *networks, *keys, *reads;
};

static struct rates *rates_make(uint32_t per_second, uint64_t seed)
{
	return rates_new(&(struct rates_options){.per_minute = per_second * 60, .burst = per_second, .seed = seed});
}

struct enroll_limit *enroll_limit_new(uint32_t per_second, uint64_t seed)
{
	struct enroll_limit *limit = mem_new(struct enroll_limit);
	limit->addresses = rates_make(per_second, seed);
	limit->networks = rates_make(ENROLL_NETWORK_ALLOWANCE * per_second, seed);
	limit->reads = rates_make(READ_ALLOWANCE * per_second, seed);
	limit->keys =
		rates_new(&(struct rates_options){.per_minute = KEY_PER_MINUTE, .burst = KEY_BURST, .seed = seed});
	return limit;
}

void enroll_limit_free(struct enroll_limit *limit)
{
	rates_free(limit->addresses);
	rates_free(limit->networks);
	rates_free(limit->reads);
	rates_free(limit->keys);
	mem_free(limit);
}

enum enroll_answer enroll_limit_take(struct enroll_limit *limit, const struct ip_addr *source, uint64_t now_ms)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num = share_keys_of_source(source, keys);
	const struct share_key *address = &keys[num - 1];
	/* The address first: what exceeds its rate must not count against its neighbors. */
	if (rates_take(limit->addresses, address, now_ms) &&
		(num == 1 || rates_take(limit->networks, &keys[0], now_ms)))
		return ENROLL_YES;
	return rates_take(limit->reads, address, now_ms) ? ENROLL_IF_KNOWN : ENROLL_NO;
}

bool enroll_limit_take_key(struct enroll_limit *limit, const uint8_t key_hash[DIGEST_LEN], uint64_t now_ms)
{
	struct share_key key = share_key_of_bytes(span_of(key_hash, DIGEST_LEN));
	return rates_take(limit->keys, &key, now_ms);
}
