#include "sidecar/tunnel/pool/upstream.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/tunnel/admission.h"

enum {
	NUM_BUCKETS = 256,
	SPREAD_MAX = 4,    /* tunnels a upstream so that bulk does not slow small requests */
	OPENING_MAX = 16,  /* at once, however little a peer allows on each */
	TUNNELS_MAX = 512, /* a upstream */
	STREAM_LIMIT_GUESS = 100,
	SPREAD_PAUSE_MS = 1000,
	STREAM_WEIGHT = 1024, /* bytes that a stream counts for when queues are compared */
};

struct upstreams {
	struct tunnel_set *set;
	uint64_t seed; /* peers choose addresses, not buckets */
	struct upstream *buckets[NUM_BUCKETS];
};

struct upstreams *upstreams_new(struct tunnel_set *set)
{
	struct upstreams *table = mem_new(struct upstreams);
	table->set = set;
	table->seed = random_u64();
	return table;
}

static struct upstream **bucket_of(struct upstreams *table, const struct addr *at)
{
	return &table->buckets[addr_hash(at, table->seed) % NUM_BUCKETS];
}

struct upstream *upstreams_find(struct upstreams *table, const struct addr *at, const struct spiffe_id *expected)
{
	struct upstream *found = *bucket_of(table, at);
	while (found != NULL && !(addr_eq(&found->at, at) && spiffe_id_eq(&found->expected, expected)))
		found = found->next;
	return found;
}

struct upstream *upstreams_get(struct upstreams *table, const struct addr *at, const struct spiffe_id *expected)
{
	struct upstream *found = upstreams_find(table, at, expected);
	if (found != NULL)
		return found;
	struct upstream **bucket = bucket_of(table, at);
	struct upstream *upstream = mem_new(struct upstream);
	upstream->set = table->set;
	upstream->table = table;
	upstream->at = *at;
	spiffe_id_copy(expected, &upstream->expected);
	upstream->waiting_tail = &upstream->waiting;
	upstream->stream_limit = STREAM_LIMIT_GUESS;
	upstream->next = *bucket;
	*bucket = upstream;
	return upstream;
}

static void free_if_unused(struct upstream *upstream)
{
	if (upstream->tunnels != NULL || upstream->waiting != NULL)
		return;
	struct upstream **at = bucket_of(upstream->table, &upstream->at);
	while (*at != upstream)
		at = &(*at)->next;
	*at = upstream->next;
	spiffe_id_done(&upstream->expected);
	mem_free(upstream);
}

/* --- who waits --- */

static void unqueue(struct stream_attempt *attempt)
{
	struct upstream *upstream = attempt->upstream;
	*attempt->prev = attempt->next;
	if (attempt->next != NULL)
		attempt->next->prev = attempt->prev;
	else
		upstream->waiting_tail = attempt->prev;
	attempt->next = NULL;
	attempt->prev = NULL;
	attempt->upstream = NULL;
	upstream->num_waiting--;
}

static void queue(struct upstream *upstream, struct stream_attempt *attempt)
{
	attempt->upstream = upstream;
	attempt->next = NULL;
	attempt->prev = upstream->waiting_tail;
	*upstream->waiting_tail = attempt;
	upstream->waiting_tail = &attempt->next;
	upstream->num_waiting++;
}

void upstream_add(struct upstream *upstream, struct stream_attempt *attempt)
{
	queue(upstream, attempt);
	upstream_serve(upstream);
}

void upstream_cancel(struct stream_attempt *attempt)
{
	struct upstream *upstream = attempt->upstream;
	unqueue(attempt);
	free_if_unused(upstream);
}

void upstream_fail_waiting(struct upstream *upstream, enum stream_verdict verdict, bool by_peer, const struct why *why)
{
	while (upstream->waiting != NULL) {
		struct stream_attempt *attempt = upstream->waiting;
		unqueue(attempt);
		attempt_fail(attempt, verdict, by_peer, why);
	}
}

void upstreams_fail_all(struct upstreams *table, enum stream_verdict verdict, const struct why *why)
{
	for (unsigned i = 0; i < NUM_BUCKETS; i++) {
		struct upstream *next;
		for (struct upstream *found = table->buckets[i]; found != NULL; found = next) {
			next = found->next;
			upstream_fail_waiting(found, verdict, false, why);
			free_if_unused(found);
		}
	}
}

void upstreams_free(struct upstreams *table)
{
	for (unsigned i = 0; i < NUM_BUCKETS; i++)
		CHECK(table->buckets[i] == NULL);
	mem_free(table);
}

/* --- which tunnel --- */

static uint64_t load_of(const struct tunnel *tunnel)
{
	return tls_session_unflushed(tunnel->tls) + (uint64_t)tunnel->num_streams * STREAM_WEIGHT;
}

static unsigned num_lasting(const struct upstream *upstream)
{
	unsigned num = 0;
	for (const struct tunnel *tunnel = upstream->tunnels; tunnel != NULL; tunnel = tunnel->sibling)
		num += tunnel->is_draining ? 0 : 1;
	return num;
}

static bool may_take(struct tunnel *tunnel, const struct stream_attempt *attempt)
{
	struct why why;
	if (tunnel == attempt->avoid || !tunnel_may_open(tunnel))
		return false;
	if (admission_check(tunnel, &why) == ERR_NONE)
		return true;
	tunnel_drain(tunnel);
	return false;
}

static bool is_better(const struct tunnel *one, const struct tunnel *other)
{
	bool suspect = tunnel_is_suspect(one), other_suspect = tunnel_is_suspect(other);
	if (suspect != other_suspect)
		return other_suspect;
	bool busy = tunnel_is_busy(one), other_busy = tunnel_is_busy(other);
	return busy != other_busy ? other_busy : load_of(one) < load_of(other);
}

bool upstream_is_suspect(const struct upstream *upstream)
{
	unsigned num_suspect = 0;
	for (const struct tunnel *tunnel = upstream->tunnels; tunnel != NULL; tunnel = tunnel->sibling) {
		if (!tunnel_may_open(tunnel))
			continue;
		if (!tunnel_is_suspect(tunnel))
			return false;
		num_suspect++;
	}
	return num_suspect > 0;
}

static bool may_spread(const struct upstream *upstream)
{
	return num_lasting(upstream) < SPREAD_MAX && loop_now_ms(upstream->set->loop) >= upstream->spread_after_ms;
}

/* NULL: none; another is to be opened. */
static struct tunnel *choose(struct upstream *upstream, const struct stream_attempt *attempt)
{
	struct tunnel *best = NULL;
	for (struct tunnel *tunnel = upstream->tunnels; tunnel != NULL; tunnel = tunnel->sibling)
		if (may_take(tunnel, attempt) && (best == NULL || is_better(tunnel, best)))
			best = tunnel;
	return best;
}

static void open_one(struct upstream *upstream)
{
	struct tunnel *tunnel = tunnel_connect(upstream->set, &upstream->at, &upstream->expected);
	tunnel->upstream = upstream;
	tunnel->sibling = upstream->tunnels;
	upstream->tunnels = tunnel;
	upstream->num_opening++;
}

unsigned upstream_tunnels_wanted(unsigned num_waiting, uint32_t stream_limit)
{
	return num_waiting / stream_limit + (num_waiting % stream_limit != 0);
}

static void open_more(struct upstream *upstream)
{
	unsigned wanted = upstream_tunnels_wanted(upstream->num_waiting, upstream->stream_limit);
	if (wanted > OPENING_MAX)
		wanted = OPENING_MAX;
	while (upstream->num_opening < wanted && num_lasting(upstream) < TUNNELS_MAX)
		open_one(upstream);
}

/* A tunnel that may be dead is worth a moment's wait for another. */
static bool is_worth_waiting(const struct upstream *upstream, const struct tunnel *best)
{
	return tunnel_is_suspect(best) && (upstream->num_opening > 0 || may_spread(upstream));
}

/* The busy one works meanwhile: later connections find the new one. */
static void spread(struct upstream *upstream, const struct tunnel *best)
{
	if (tunnel_is_busy(best) && upstream->num_opening == 0 && may_spread(upstream))
		open_one(upstream);
}

void upstream_serve(struct upstream *upstream)
{
	while (upstream->waiting != NULL) {
		struct stream_attempt *attempt = upstream->waiting;
		struct tunnel *tunnel = choose(upstream, attempt);
		if (tunnel == NULL || is_worth_waiting(upstream, tunnel))
			break;
		spread(upstream, tunnel);
		unqueue(attempt);
		if (attempt_start(attempt, tunnel) == ERR_NONE)
			continue;
		tunnel_drain(tunnel); /* out of ids: the next one starts anew */
		queue(upstream, attempt);
	}
	if (upstream->waiting != NULL)
		open_more(upstream);
}

/* --- what becomes of its tunnels --- */

void upstream_on_open(struct tunnel *tunnel)
{
	struct upstream *upstream = tunnel->upstream;
	upstream->num_opening--;
	uint32_t limit = h2_session_streams_left(tunnel->h2);
	if (limit > 0) {
		upstream->stream_limit = limit;
		upstream_serve(upstream);
		return;
	}
	struct why why = {0};
	why_set(&why, ERR_LIMIT, "a peer that accepts streams", "look at the other sidecar: is it draining?",
		"SETTINGS_MAX_CONCURRENT_STREAMS 0, or GOAWAY");
	tunnel_name_peer(tunnel, &why);
	upstream_fail_waiting(upstream, STREAM_BROKEN, false, &why);
}

static void unlink_sibling(struct tunnel *tunnel)
{
	struct tunnel **at = &tunnel->upstream->tunnels;
	while (*at != tunnel)
		at = &(*at)->sibling;
	*at = tunnel->sibling;
}

static enum stream_verdict verdict_of(const struct tunnel *tunnel)
{
	if (tunnel->is_handshake_failure)
		return STREAM_TLS_FAILED;
	return tunnel->was_open ? STREAM_BROKEN : STREAM_UNREACHABLE;
}

void upstream_on_closed(struct tunnel *tunnel, const struct why *why)
{
	struct upstream *upstream = tunnel->upstream;
	bool could_not_open = !tunnel->was_open && !tunnel->is_draining;
	unlink_sibling(tunnel);
	if (!tunnel->was_open)
		upstream->num_opening--;
	if (could_not_open) {
		/* What stands must do, busy or not; for the rest there is no point in trying the same again. */
		upstream->spread_after_ms = loop_now_ms(upstream->set->loop) + SPREAD_PAUSE_MS;
		while (upstream->waiting != NULL && upstream->num_opening == 0) {
			struct stream_attempt *attempt = upstream->waiting;
			struct tunnel *other = choose(upstream, attempt);
			unqueue(attempt);
			if (other == NULL || attempt_start(attempt, other) != ERR_NONE)
				attempt_fail(attempt, verdict_of(tunnel), tunnel->was_failed_by_peer, why);
		}
	} else if (upstream->waiting != NULL && upstream->set->credentials != NULL) {
		upstream_serve(upstream);
	}
	free_if_unused(upstream);
}
