#include "sidecar/tunnel/destination.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/tunnel/admission.h"

enum {
	NUM_BUCKETS = 256,
	SPREAD_MAX = 4,    /* tunnels a destination so that bulk does not slow small requests */
	OPENING_MAX = 16,  /* at once, however little a peer allows on each */
	TUNNELS_MAX = 512, /* a destination */
	STREAM_LIMIT_GUESS = 100,
	SPREAD_PAUSE_MS = 1000,
	STREAM_WEIGHT = 1024, /* bytes that a stream counts for when queues are compared */
};

struct destinations {
	struct tunnel_set *set;
	uint64_t seed; /* peers choose addresses, not buckets */
	struct destination *buckets[NUM_BUCKETS];
};

struct destinations *destinations_new(struct tunnel_set *set)
{
	struct destinations *table = mem_new(struct destinations);
	table->set = set;
	table->seed = random_u64();
	return table;
}

static struct destination **bucket_of(struct destinations *table, const struct addr *at)
{
	return &table->buckets[addr_hash(at, table->seed) % NUM_BUCKETS];
}

struct destination *destinations_find(
	struct destinations *table, const struct addr *at, const struct spiffe_id *expected)
{
	struct destination *found = *bucket_of(table, at);
	while (found != NULL && !(addr_eq(&found->at, at) && spiffe_id_eq(&found->expected, expected)))
		found = found->next;
	return found;
}

struct destination *destinations_take(
	struct destinations *table, const struct addr *at, const struct spiffe_id *expected)
{
	struct destination *found = destinations_find(table, at, expected);
	if (found != NULL)
		return found;
	struct destination **bucket = bucket_of(table, at);
	struct destination *destination = mem_new(struct destination);
	destination->set = table->set;
	destination->table = table;
	destination->at = *at;
	spiffe_id_copy(expected, &destination->expected);
	destination->waiting_tail = &destination->waiting;
	destination->stream_limit = STREAM_LIMIT_GUESS;
	destination->next = *bucket;
	*bucket = destination;
	return destination;
}

static void free_if_unused(struct destination *destination)
{
	if (destination->tunnels != NULL || destination->waiting != NULL)
		return;
	struct destination **at = bucket_of(destination->table, &destination->at);
	while (*at != destination)
		at = &(*at)->next;
	*at = destination->next;
	spiffe_id_done(&destination->expected);
	mem_free(destination);
}

/* --- who waits --- */

static void unqueue(struct stream_attempt *attempt)
{
	struct destination *destination = attempt->destination;
	*attempt->prev = attempt->next;
	if (attempt->next != NULL)
		attempt->next->prev = attempt->prev;
	else
		destination->waiting_tail = attempt->prev;
	attempt->next = NULL;
	attempt->prev = NULL;
	attempt->destination = NULL;
	destination->num_waiting--;
}

static void queue(struct destination *destination, struct stream_attempt *attempt)
{
	attempt->destination = destination;
	attempt->next = NULL;
	attempt->prev = destination->waiting_tail;
	*destination->waiting_tail = attempt;
	destination->waiting_tail = &attempt->next;
	destination->num_waiting++;
}

void destination_add(struct destination *destination, struct stream_attempt *attempt)
{
	queue(destination, attempt);
	destination_serve(destination);
}

void destination_cancel(struct stream_attempt *attempt)
{
	struct destination *destination = attempt->destination;
	unqueue(attempt);
	free_if_unused(destination);
}

void destination_fail_waiting(
	struct destination *destination, enum stream_verdict verdict, bool by_peer, const struct why *why)
{
	while (destination->waiting != NULL) {
		struct stream_attempt *attempt = destination->waiting;
		unqueue(attempt);
		attempt_fail(attempt, verdict, by_peer, why);
	}
}

void destinations_fail_all(struct destinations *table, enum stream_verdict verdict, const struct why *why)
{
	for (unsigned i = 0; i < NUM_BUCKETS; i++) {
		struct destination *next;
		for (struct destination *found = table->buckets[i]; found != NULL; found = next) {
			next = found->next;
			destination_fail_waiting(found, verdict, false, why);
			free_if_unused(found);
		}
	}
}

void destinations_free(struct destinations *table)
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

static unsigned num_lasting(const struct destination *destination)
{
	unsigned num = 0;
	for (const struct tunnel *tunnel = destination->tunnels; tunnel != NULL; tunnel = tunnel->sibling)
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
	bool hogged = tunnel_is_busy(one), other_busy = tunnel_is_busy(other);
	return hogged != other_busy ? other_busy : load_of(one) < load_of(other);
}

bool destination_is_suspect(const struct destination *destination)
{
	unsigned num_suspect = 0;
	for (const struct tunnel *tunnel = destination->tunnels; tunnel != NULL; tunnel = tunnel->sibling) {
		if (!tunnel_may_open(tunnel))
			continue;
		if (!tunnel_is_suspect(tunnel))
			return false;
		num_suspect++;
	}
	return num_suspect > 0;
}

static bool may_spread(const struct destination *destination)
{
	return num_lasting(destination) < SPREAD_MAX &&
	       loop_now_ms(destination->set->loop) >= destination->spread_after_ms;
}

/* NULL: none; another is to be opened. */
static struct tunnel *choose(struct destination *destination, const struct stream_attempt *attempt)
{
	struct tunnel *best = NULL;
	for (struct tunnel *tunnel = destination->tunnels; tunnel != NULL; tunnel = tunnel->sibling)
		if (may_take(tunnel, attempt) && (best == NULL || is_better(tunnel, best)))
			best = tunnel;
	return best;
}

static void open_one(struct destination *destination)
{
	struct tunnel *tunnel = tunnel_connect(destination->set, &destination->at, &destination->expected);
	tunnel->destination = destination;
	tunnel->sibling = destination->tunnels;
	destination->tunnels = tunnel;
	destination->num_opening++;
}

unsigned destination_tunnels_wanted(unsigned num_waiting, uint32_t stream_limit)
{
	return num_waiting / stream_limit + (num_waiting % stream_limit != 0);
}

static void open_more(struct destination *destination)
{
	unsigned wanted = destination_tunnels_wanted(destination->num_waiting, destination->stream_limit);
	if (wanted > OPENING_MAX)
		wanted = OPENING_MAX;
	while (destination->num_opening < wanted && num_lasting(destination) < TUNNELS_MAX)
		open_one(destination);
}

/* A tunnel that may be dead is worth a moment's wait for another. */
static bool is_worth_waiting(const struct destination *destination, const struct tunnel *best)
{
	return tunnel_is_suspect(best) && (destination->num_opening > 0 || may_spread(destination));
}

/* The one that is hogged works meanwhile: later connections find the new one. */
static void spread(struct destination *destination, const struct tunnel *best)
{
	if (tunnel_is_busy(best) && destination->num_opening == 0 && may_spread(destination))
		open_one(destination);
}

void destination_serve(struct destination *destination)
{
	while (destination->waiting != NULL) {
		struct stream_attempt *attempt = destination->waiting;
		struct tunnel *tunnel = choose(destination, attempt);
		if (tunnel == NULL || is_worth_waiting(destination, tunnel))
			break;
		spread(destination, tunnel);
		unqueue(attempt);
		if (attempt_start(attempt, tunnel) == ERR_NONE)
			continue;
		tunnel_drain(tunnel); /* out of ids: the next one starts anew */
		queue(destination, attempt);
	}
	if (destination->waiting != NULL)
		open_more(destination);
}

/* --- what becomes of its tunnels --- */

void destination_on_open(struct tunnel *tunnel)
{
	struct destination *destination = tunnel->destination;
	destination->num_opening--;
	uint32_t limit = h2_session_streams_left(tunnel->h2);
	if (limit > 0) {
		destination->stream_limit = limit;
		destination_serve(destination);
		return;
	}
	struct why why = {0};
	why_set(&why, ERR_LIMIT, "a peer that accepts streams", "look at the other sidecar: is it draining?",
		"SETTINGS_MAX_CONCURRENT_STREAMS 0, or GOAWAY");
	tunnel_name_peer(tunnel, &why);
	destination_fail_waiting(destination, STREAM_BROKEN, false, &why);
}

static void unlink_sibling(struct tunnel *tunnel)
{
	struct tunnel **at = &tunnel->destination->tunnels;
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

void destination_on_gone(struct tunnel *tunnel, const struct why *why)
{
	struct destination *destination = tunnel->destination;
	bool could_not_open = !tunnel->was_open && !tunnel->is_draining;
	unlink_sibling(tunnel);
	if (!tunnel->was_open)
		destination->num_opening--;
	if (could_not_open) {
		/* What stands must do, hogged or not; for the rest there is no point in trying the same again. */
		destination->spread_after_ms = loop_now_ms(destination->set->loop) + SPREAD_PAUSE_MS;
		while (destination->waiting != NULL && destination->num_opening == 0) {
			struct stream_attempt *attempt = destination->waiting;
			struct tunnel *other = choose(destination, attempt);
			unqueue(attempt);
			if (other == NULL || attempt_start(attempt, other) != ERR_NONE)
				attempt_fail(attempt, verdict_of(tunnel), tunnel->was_failed_by_peer, why);
		}
	} else if (destination->waiting != NULL && destination->set->credentials != NULL) {
		destination_serve(destination);
	}
	free_if_unused(destination);
}
