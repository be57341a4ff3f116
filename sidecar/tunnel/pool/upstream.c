#include "sidecar/tunnel/pool/upstream.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/tunnel/admission.h"

enum {
	UPSTREAMS_EXPECTED = 256,
	SPREAD_MAX = 4,    /* tunnels per upstream so that bulk does not slow small requests */
	OPENING_MAX = 16,  /* at once, however little a peer allows on each */
	TUNNELS_MAX = 512, /* per upstream */
	STREAM_LIMIT_GUESS = 100,
	SPREAD_PAUSE_MS = 1000,
	STREAM_WEIGHT = 1024, /* bytes that a stream counts for when queues are compared */
};

struct upstreams {
	struct tunnel_set *set;
	struct table table;
};

struct endpoint_key { /* the set has the own credentials */
	const struct addr *at;
	const struct spiffe_id *expected;
};

struct upstreams *upstreams_new(struct tunnel_set *set)
{
	struct upstreams *upstreams = mem_new(struct upstreams);
	upstreams->set = set;
	table_init(&upstreams->table, UPSTREAMS_EXPECTED);
	return upstreams;
}

static bool has_key(const struct table_link *link, const void *arg)
{
	const struct upstream *upstream = container_of(link, const struct upstream, link);
	const struct endpoint_key *key = arg;
	return addr_eq(&upstream->at, key->at) && spiffe_id_eq(&upstream->expected, key->expected);
}

struct upstream *upstreams_find(struct upstreams *upstreams, const struct addr *at, const struct spiffe_id *expected)
{
	const struct table *table = &upstreams->table;
	const struct endpoint_key key = {at, expected};
	struct table_link *link = table_find(table, addr_hash(at, table->seed), has_key, &key);
	return link == NULL ? NULL : container_of(link, struct upstream, link);
}

struct upstream *upstreams_get(struct upstreams *upstreams, const struct addr *at, const struct spiffe_id *expected)
{
	struct upstream *found = upstreams_find(upstreams, at, expected);
	if (found != NULL)
		return found;
	struct upstream *upstream = mem_new(struct upstream);
	upstream->set = upstreams->set;
	upstream->upstreams = upstreams;
	upstream->at = *at;
	spiffe_id_copy(expected, &upstream->expected);
	upstream->stream_limit = STREAM_LIMIT_GUESS;
	table_add(&upstreams->table, &upstream->link, addr_hash(at, upstreams->table.seed));
	return upstream;
}

static void free_if_unused(struct upstream *upstream)
{
	if (!list_is_empty(&upstream->tunnels) || !list_is_empty(&upstream->waiting))
		return;
	CHECK(upstream->num_waiting == 0 && upstream->num_opening == 0);
	table_remove(&upstream->upstreams->table, &upstream->link);
	spiffe_id_done(&upstream->expected);
	mem_free(upstream);
}

/* --- attempts that wait --- */

static struct stream_attempt *first_waiting(const struct upstream *upstream)
{
	return LIST_FIRST(&upstream->waiting, struct stream_attempt, link);
}

static void unqueue(struct stream_attempt *attempt)
{
	CHECK(attempt->upstream != NULL && attempt->upstream->num_waiting > 0);
	list_remove(&attempt->link);
	attempt->upstream->num_waiting--;
	attempt->upstream = NULL;
}

static void queue(struct upstream *upstream, struct stream_attempt *attempt)
{
	CHECK(attempt->upstream == NULL && attempt->stream == NULL);
	attempt->upstream = upstream;
	list_push_back(&upstream->waiting, &attempt->link);
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

/* Here, not by the peer. */
static void fail_waiting(struct upstream *upstream, enum stream_verdict verdict, const struct why *why)
{
	for (struct stream_attempt *attempt; (attempt = first_waiting(upstream)) != NULL;) {
		unqueue(attempt);
		attempt_fail(attempt, verdict, false, why);
	}
}

static void fail_one(void *arg, struct table_link *link)
{
	const struct why *const *why = arg;
	struct upstream *upstream = container_of(link, struct upstream, link);
	fail_waiting(upstream, STREAM_NO_IDENTITY, *why);
	free_if_unused(upstream);
}

void upstreams_fail_all(struct upstreams *upstreams, const struct why *why)
{
	table_each(&upstreams->table, fail_one, &why);
}

void upstreams_free(struct upstreams *upstreams)
{
	CHECK(upstreams->table.num == 0); /* each ends with its last tunnel and its last attempt */
	table_done(&upstreams->table);
	mem_free(upstreams);
}

/* --- which tunnel --- */

static uint64_t load_of(const struct tunnel *tunnel)
{
	return tls_session_unflushed(tunnel->tls) + (uint64_t)tunnel->num_streams * STREAM_WEIGHT;
}

static unsigned num_lasting(const struct upstream *upstream)
{
	unsigned num = 0;
	LIST_EACH(&upstream->tunnels, const struct tunnel, tunnel, sibling)
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
	LIST_EACH(&upstream->tunnels, const struct tunnel, tunnel, sibling) {
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
	LIST_EACH(&upstream->tunnels, struct tunnel, tunnel, sibling)
		if (may_take(tunnel, attempt) && (best == NULL || is_better(tunnel, best)))
			best = tunnel;
	return best;
}

static void open_one(struct upstream *upstream)
{
	struct tunnel *tunnel = tunnel_connect(upstream->set, &upstream->at, &upstream->expected);
	tunnel->upstream = upstream;
	list_push_front(&upstream->tunnels, &tunnel->sibling);
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
	for (struct stream_attempt *attempt; (attempt = first_waiting(upstream)) != NULL;) {
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
	if (!list_is_empty(&upstream->waiting))
		open_more(upstream);
}

/* --- what becomes of its tunnels --- */

void upstream_on_open(struct tunnel *tunnel)
{
	struct upstream *upstream = tunnel->upstream;
	CHECK(tunnel->was_open && upstream->num_opening > 0);
	upstream->num_opening--;
	uint32_t limit = h2_session_streams_left(tunnel->h2);
	if (limit > 0) {
		upstream->stream_limit = limit;
		upstream_serve(upstream);
		return;
	}
	struct why why = {0};
	why_set(&why, ERR_LIMIT, "a peer that accepts streams", "check whether the other sidecar drains",
		"the peer accepts no stream: SETTINGS_MAX_CONCURRENT_STREAMS 0, or GOAWAY");
	tunnel_name_peer(tunnel, &why);
	fail_waiting(upstream, STREAM_BROKEN, &why);
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
	CHECK(tunnel->was_open || upstream->num_opening > 0);
	list_remove(&tunnel->sibling);
	if (!tunnel->was_open)
		upstream->num_opening--;
	if (could_not_open) {
		/* What stands must do, busy or not; for the rest there is no point in trying the same again. */
		upstream->spread_after_ms = loop_now_ms(upstream->set->loop) + SPREAD_PAUSE_MS;
		for (struct stream_attempt *attempt;
			upstream->num_opening == 0 && (attempt = first_waiting(upstream)) != NULL;) {
			struct tunnel *other = choose(upstream, attempt);
			unqueue(attempt);
			if (other == NULL || attempt_start(attempt, other) != ERR_NONE)
				attempt_fail(attempt, verdict_of(tunnel), tunnel->was_failed_by_peer, why);
		}
	} else if (!list_is_empty(&upstream->waiting) && upstream->set->credentials != NULL) {
		upstream_serve(upstream);
	}
	free_if_unused(upstream);
}
