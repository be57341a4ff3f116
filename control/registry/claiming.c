/* Which identity owns an address, and for how long: the first to claim it, durably before any answer is sent. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/registry/registry_private.h"

_Static_assert(ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX) <= STORE_KEY_MAX, "a key of the store");

struct registry_attempt { /* of one stream to own its address */
	struct list_link link;
	struct registry *registry;
	struct claim wanted;             /* what goes to the store */
	registry_claimed_fn *on_claimed; /* NULL: abandoned */
	void *arg;
	struct loop_task later;
	enum err err;
	struct why detail;
};

static void attempt_free(struct registry_attempt *attempt)
{
	list_remove(&attempt->link);
	loop_task_cancel(&attempt->later);
	spiffe_id_done(&attempt->wanted.id);
	mem_free(attempt);
}

void registry_abandon(struct registry_attempt *attempt)
{
	CHECK(attempt->on_claimed != NULL); /* abandoned once */
	attempt->on_claimed = NULL;
	if (loop_task_is_posted(&attempt->later)) {
		if (attempt->err == ERR_NONE) /* it owns the address already */
			registry_stream_closed(attempt->registry, &attempt->wanted.id, &attempt->wanted.ip);
		attempt_free(attempt);
	}
}

void registry_attempts_free(struct registry *registry)
{
	LIST_EACH_REMOVABLE(&registry->attempts, struct registry_attempt, attempt, link)
		attempt_free(attempt);
}

static void answer(struct registry_attempt *attempt)
{
	CHECK(attempt->on_claimed != NULL);
	attempt->on_claimed(attempt->arg, attempt->err, &attempt->detail);
	attempt_free(attempt);
}

static void on_later(struct loop_task *task)
{
	answer(container_of(task, struct registry_attempt, later));
}

static void answer_later(struct registry_attempt *attempt, enum err err)
{
	CHECK(!loop_task_is_posted(&attempt->later));
	attempt->err = err;
	loop_task_post(attempt->registry->loop, &attempt->later, on_later);
}

/* One more address: each claim outlives its sidecar by hours, so no key may collect them. */
static enum err has_room(const struct registry *registry, const struct claim *wanted, struct why *why)
{
	const struct member *member = registry_member(registry, &wanted->id);
	unsigned num_of_key = 0;
	if (member == NULL)
		return ERR_NONE;
	LIST_EACH(&member->claims, const struct claim, claim, link)
		num_of_key += !claim->has_ended && memcmp(claim->key_hash, wanted->key_hash, DIGEST_LEN) == 0;
	if (num_of_key < REGISTRY_KEY_CLAIMS_MAX && member->num_claims < REGISTRY_IDENTITY_CLAIMS_MAX)
		return ERR_NONE;
	return why_set(why, ERR_LIMIT, "at most 16 addresses per attestation key and 16384 per identity",
		"release claims of sidecars that no longer exist: `handfast entry release ADDRESS`",
		"%s has claimed %u by this key and %u in all", wanted->id.text, num_of_key, member->num_claims);
}

/* An address that only the sidecar's own host can see: it stands for a connection that handfast-init's rules led
 * through a sidecar beside this control plane. No address of mesh.networks mends that. */
static bool is_of_sidecar(const struct ip_addr *ip)
{
	static const char *const NETWORKS[] = {"169.254.15.6/32", "100::6/128", "100::8/125"};
	for (size_t i = 0; i < sizeof(NETWORKS) / sizeof(NETWORKS[0]); i++) {
		struct network network;
		enum err err = network_parse(span_of_str(NETWORKS[i]), &network);
		CHECK(err == ERR_NONE);
		if (network_contains(&network, ip))
			return true;
	}
	return false;
}

static enum err may_claim(const struct registry *registry, const struct claim *wanted, struct why *why)
{
	const struct spiffe_id *id = &wanted->id;
	const struct ip_addr *ip = &wanted->ip;
	const struct place *place = registry_place(registry, ip);
	const struct claim *held = place == NULL ? NULL : place->claim;
	const struct config_entry *entry = place == NULL ? NULL : place->entry;
	char text[ADDR_TEXT_MAX];
	ip_addr_format(ip, text);
	if (is_of_sidecar(ip))
		return why_set(why, ERR_DENIED, "an address of the sidecar's host",
			"exclude 15012,15014 inbound on the control plane's host: `handfast-init up "
			"--exclude-inbound-ports 15012,15014`",
			"%s is what a sidecar on the control plane's own host connects from", text);
	if (!registry_is_inside(registry, ip))
		return why_set(why, ERR_DENIED, "an address inside mesh.networks", "add its network to mesh.networks",
			"%s is outside mesh.networks", text);
	if (entry != NULL && !spiffe_id_eq(&entry->identity, id))
		return why_set(why, ERR_DENIED, "the identity that the operator's entry names", "change the entry",
			"%s claims %s, which an entry gives to %s", id->text, text, entry->identity.text);
	if (held != NULL && !held->has_ended && !spiffe_id_eq(&held->id, id))
		return why_set(why, ERR_DENIED, "an address that no other identity has claimed",
			"if its owner no longer exists: `handfast entry release ADDRESS`; then this claim is granted "
			"by itself",
			"%s claims %s, held by %s", id->text, text, held->id.text);
	return held != NULL && !held->has_ended ? ERR_NONE : has_room(registry, wanted, why);
}

static void on_saved(void *arg, enum err err, uint64_t version);

static void save(struct registry_attempt *attempt)
{
	struct registry *registry = attempt->registry;
	const struct claim *held = registry_find(registry, &attempt->wanted.ip);
	_cleanup_(buf_done) struct buf record = BUF_INIT(STORE_VALUE_MAX);
	char key[ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX)];
	claim_key(&attempt->wanted.ip, key);
	enum err err = claim_encode(&attempt->wanted, &record);
	if (err != ERR_NONE)
		answer_later(attempt, err);
	else
		store_swap(
			registry->store, key, held == NULL ? 0 : held->version, buf_span(&record), on_saved, attempt);
}

/* Decided again whenever another change was committed first. */
static void try_claim(struct registry_attempt *attempt)
{
	struct registry *registry = attempt->registry;
	struct claim *held = registry_find(registry, &attempt->wanted.ip);
	if (attempt->on_claimed == NULL) {
		if (held != NULL)
			registry_sync(registry, held); /* the record may name this control plane */
		attempt_free(attempt);
		return;
	}
	enum err err = may_claim(registry, &attempt->wanted, &attempt->detail);
	if (err != ERR_NONE) {
		answer_later(attempt, err);
		return;
	}
	if (held == NULL || held->has_ended || held->away_ms != 0 || !spiffe_id_eq(&held->id, &attempt->wanted.id) ||
		memcmp(held->key_hash, attempt->wanted.key_hash, DIGEST_LEN) != 0 ||
		strcmp(held->replica, registry->own) != 0) {
		save(attempt);
		return;
	}
	registry_stream_opened(registry, held);
	answer_later(attempt, ERR_NONE);
}

static void on_saved(void *arg, enum err err, uint64_t version)
{
	(void)version;
	struct registry_attempt *attempt = arg;
	if (err == ERR_NONE || err == ERR_CONFLICT) {
		try_claim(attempt);
		return;
	}
	if (attempt->on_claimed == NULL) {
		attempt_free(attempt);
		return;
	}
	attempt->err = store_explain(attempt->registry->store, err, &attempt->detail);
	answer(attempt);
}

struct registry_attempt *registry_claim(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip,
	const uint8_t key_hash[DIGEST_LEN], registry_claimed_fn *on_claimed, void *arg)
{
	CHECK(on_claimed != NULL);
	struct registry_attempt *attempt = mem_new(struct registry_attempt);
	attempt->registry = registry;
	attempt->wanted.ip = *ip;
	memcpy(attempt->wanted.key_hash, key_hash, DIGEST_LEN);
	memcpy(attempt->wanted.replica, registry->own, sizeof registry->own);
	attempt->on_claimed = on_claimed;
	attempt->arg = arg;
	spiffe_id_copy(id, &attempt->wanted.id);
	list_push_front(&registry->attempts, &attempt->link);
	try_claim(attempt);
	return attempt;
}

/* --- the grace period: time away counts only while this process runs --- */

static uint64_t tick_ms(const struct registry *registry)
{
	uint64_t tenth = registry->config->claim_grace_ms / 10;
	return tenth > 600 * 1000 ? 600 * 1000 : tenth < 100 ? 100 : tenth;
}

static void age(void *arg, struct place *place)
{
	struct registry *registry = arg;
	const struct claim *claim = place->claim;
	_cleanup_(buf_done) struct buf record = BUF_INIT(STORE_VALUE_MAX);
	char key[ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX)];
	if (claim == NULL || claim->num_live > 0 || claim->has_ended || registry_is_held_elsewhere(registry, claim))
		return;
	struct claim older = *claim;
	older.away_ms += tick_ms(registry);
	older.has_ended = older.away_ms >= registry->config->claim_grace_ms;
	claim_key(&claim->ip, key);
	if (claim_encode(&older, &record) == ERR_NONE)
		store_swap(registry->store, key, claim->version, buf_span(&record), NULL, NULL);
}

static void on_grace(struct loop_timer *timer)
{
	struct registry *registry = container_of(timer, struct registry, grace);
	/* Cut off, it cannot see whether the sidecar is at another control plane. */
	if (registry_is_counting(registry) && store_silent_ms(registry->store, NULL) < STORE_CUT_OFF_MS)
		registry_each_place(registry, age, registry);
	registry_grace_start(registry);
}

void registry_grace_start(struct registry *registry)
{
	loop_timer_start(registry->loop, &registry->grace, tick_ms(registry), on_grace);
}
