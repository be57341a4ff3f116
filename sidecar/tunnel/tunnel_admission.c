#include "sidecar/tunnel/tunnel_admission.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/rates.h"

enum {
	HANDSHAKES_PER_SOURCE_PART = 8, /* a source gets at most an eighth of the places */
	HANDSHAKES_PER_MINUTE = 3000,   /* of one source: a restarting host begins some dozens at once */
	HANDSHAKES_BURST = 200,
	IDLE_TRIES = 16, /* of a key's oldest tunnels are inspected for one without streams */
};

struct tunnel_admission {
	const struct tunnel_set *set;
	struct shares *handshakes, *sources, *identities;
	struct rates *begun; /* by source */
};

static uint64_t part(uint64_t all, uint64_t divisor)
{
	return (all + divisor - 1) / divisor;
}

static struct shares *by_source(uint64_t capacity, uint64_t cap)
{
	return shares_new(&(struct shares_options){
		.capacity = capacity,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_ADDRESS] = cap, [SHARE_KEY_PREFIX64] = cap}}},
		.seed = random_u64(),
	});
}

struct tunnel_admission *tunnel_admission_new(const struct tunnel_set *set, uint32_t max_handshakes)
{
	struct tunnel_admission *admission = mem_new(struct tunnel_admission);
	uint64_t max = set->limits.max_tunnels;
	admission->set = set;
	admission->handshakes = by_source(max_handshakes, part(max_handshakes, HANDSHAKES_PER_SOURCE_PART));
	admission->sources = by_source(max, part(max, 4));
	admission->identities = shares_new(&(struct shares_options){
		.capacity = max,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_IDENTITY] = part(max, 2)}}},
		.seed = random_u64(),
	});
	admission->begun = rates_new(&(struct rates_options){
		.per_minute = HANDSHAKES_PER_MINUTE, .burst = HANDSHAKES_BURST, .seed = random_u64()});
	return admission;
}

void tunnel_admission_free(struct tunnel_admission *admission)
{
	if (admission == NULL)
		return;
	shares_free(admission->handshakes);
	shares_free(admission->sources);
	shares_free(admission->identities);
	rates_free(admission->begun);
	mem_free(admission);
}

static enum err refuse(
	const struct tunnel_admission *admission, enum tunnel_resource what, enum share_limit limit, struct why *why)
{
	static const char *const names[] = {"handshakes", "tunnels"};
	const struct tunnel_observer *observer = &admission->set->observer;
	if (observer->on_limit != NULL)
		observer->on_limit(observer->arg, what, limit);
	return why_set(why, ERR_LIMIT, "fewer handshakes and tunnels at once",
		"find out which source connects so often; raise limits.max_tunnels, or add replicas",
		"%s is reached for %s", share_limit_text(limit), names[what]);
}

/* --- handshakes --- */

static const struct why displaced = {
	.err = ERR_LIMIT,
	.expected = "a handshake that makes progress",
	.got = "the oldest handshake of the source with most was ended, as all places are taken",
	.fix = "find out which source connects and sends nothing",
};

/* A handshake costs its source nothing to begin again, so the oldest of the heaviest source gives way. */
static enum share_limit take_handshake(
	struct tunnel_admission *admission, struct tunnel *tunnel, const struct share_key *keys, size_t num_keys)
{
	enum share_limit limit = shares_take(admission->handshakes, 0, keys, num_keys, 1, &tunnel->handshake);
	if (limit == SHARE_LIMIT_NONE)
		return limit;
	struct share *heavy = shares_eviction_candidate(admission->handshakes, 0, keys, num_keys, 1);
	if (heavy == NULL)
		return limit;
	tunnel_lost(container_of(heavy, struct tunnel, handshake), &displaced);
	return shares_take(admission->handshakes, 0, keys, num_keys, 1, &tunnel->handshake);
}

/* --- tunnels --- */

/* An idle tunnel is given up without loss: it drains, and its peer opens another when it needs one. */
static void give_up(struct tunnel *tunnel)
{
	tunnel_drain(tunnel);
	shares_give(&tunnel->of_source);
	shares_give(&tunnel->of_identity);
}

static bool is_idle(const struct tunnel *tunnel)
{
	return tunnel->state == TUNNEL_OPEN && tunnel->num_streams == 0;
}

static enum err take_of_source(struct tunnel_admission *admission, struct tunnel *tunnel, const struct share_key *keys,
	size_t num_keys, struct why *why)
{
	enum share_limit limit = shares_take(admission->sources, 0, keys, num_keys, 1, &tunnel->of_source);
	struct share *old =
		limit == SHARE_LIMIT_NONE ? NULL : shares_eviction_candidate(admission->sources, 0, keys, num_keys, 1);
	for (unsigned i = 0; i < IDLE_TRIES && old != NULL; i++, old = old->younger) {
		struct tunnel *owner = container_of(old, struct tunnel, of_source);
		if (!is_idle(owner))
			continue;
		give_up(owner);
		limit = shares_take(admission->sources, 0, keys, num_keys, 1, &tunnel->of_source);
		break;
	}
	return limit == SHARE_LIMIT_NONE ? ERR_NONE : refuse(admission, TUNNEL_RESOURCE_TUNNELS, limit, why);
}

enum err tunnel_admission_identify(struct tunnel_admission *admission, struct tunnel *tunnel, struct why *why)
{
	struct share_key key = share_key_of_bytes(span_of_str(svid_id(tunnel_peer(tunnel))->text));
	enum share_limit limit = shares_take(admission->identities, 0, &key, 1, 1, &tunnel->of_identity);
	struct share *old =
		limit == SHARE_LIMIT_NONE ? NULL : shares_eviction_candidate(admission->identities, 0, &key, 1, 1);
	for (unsigned i = 0; i < IDLE_TRIES && old != NULL; i++, old = old->younger) {
		struct tunnel *owner = container_of(old, struct tunnel, of_identity);
		if (!is_idle(owner))
			continue;
		give_up(owner);
		limit = shares_take(admission->identities, 0, &key, 1, 1, &tunnel->of_identity);
		break;
	}
	return limit == SHARE_LIMIT_NONE ? ERR_NONE : refuse(admission, TUNNEL_RESOURCE_TUNNELS, limit, why);
}

enum err tunnel_admission_enter(struct tunnel_admission *admission, struct tunnel *tunnel, struct why *why)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&tunnel->remote.ip, keys);
	if (!rates_take(admission->begun, &keys[0], loop_now_ms(admission->set->loop)))
		return refuse(admission, TUNNEL_RESOURCE_HANDSHAKES,
			keys[0].kind == SHARE_KEY_PREFIX64 ? SHARE_LIMIT_PREFIX64 : SHARE_LIMIT_ADDRESS, why);
	enum share_limit limit = take_handshake(admission, tunnel, keys, num_keys);
	if (limit != SHARE_LIMIT_NONE)
		return refuse(admission, TUNNEL_RESOURCE_HANDSHAKES, limit, why);
	return take_of_source(admission, tunnel, keys, num_keys, why);
}
