/* Endpoints that come: when thousands of sidecars enroll or return at once, each service's answer changes many times a
 * second, and all of its subscribers would get each state of it. An endpoint more is not urgent, one that is gone is.
 */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/distribute/distribute_private.h"

enum {
	/* Messages about an endpoint more are sent at once up to this rate. */
	SENDS_PER_S = 2000,
	SENDS_MAX = 4000,
	/* The others wait for a sweep, in which each stream gets all that has changed in one message. The next one
	 * begins after several times its duration, so that it takes a small part of a busy processor. */
	SWEEP_LEAST_MS = 1000,
	SWEEP_MOST_MS = 10000,
	SWEEP_PAUSE = 9,
};

static uint64_t hash_of(const struct resolved_endpoint *endpoint, uint64_t seed)
{
	uint64_t hash = hash_mix(addr_hash(&endpoint->address, seed), hash_bytes(spiffe_id_text(endpoint->id), seed));
	return endpoint->is_istio_tls ? ~hash : hash;
}

bool growth_note(struct topic *topic, const struct resolution *resolution, uint64_t seed)
{
	bool is_plain_list = resolution->kind == RESOLVED_MESHED && resolution->num_draining == 0;
	size_t num = is_plain_list ? resolution->num_endpoints : 0, num_kept = 0;
	uint64_t *endpoints = mem_calloc(num, sizeof *endpoints);
	for (size_t i = 0; i < num; i++) {
		endpoints[i] = hash_of(&resolution->endpoints[i], seed);
		num_kept += num_kept < topic->num_endpoints && endpoints[i] == topic->endpoints[num_kept];
	}
	bool has_grown = topic->num_endpoints > 0 && num_kept == topic->num_endpoints && num > num_kept;
	mem_free(topic->endpoints);
	topic->endpoints = endpoints;
	topic->num_endpoints = num;
	return has_grown;
}

/* --- the rate --- */

static bool take_sends(struct growth *growth, uint64_t now_ms, int64_t num)
{
	int64_t more = (int64_t)(now_ms - growth->refilled_ms) * SENDS_PER_S / 1000;
	if (more > 0) {
		growth->sends = growth->sends + more > SENDS_MAX ? SENDS_MAX : growth->sends + more;
		growth->refilled_ms = now_ms;
	}
	if (growth->sends <= 0)
		return false;
	growth->sends -= num; /* of a service with very many subscribers: a debt */
	return true;
}

/* --- sweeps --- */

static void on_sweep(struct loop_timer *timer);

static void sweep_soon(struct distributor *distributor)
{
	struct growth *growth = &distributor->growth;
	uint64_t now_ms = loop_now_ms(distributor->loop);
	if (list_is_empty(&distributor->streams_due)) /* the last ones have ended meanwhile */
		growth->num_left = 0;
	growth->is_due = growth->num_left > 0;
	if (growth->num_left > 0 || loop_timer_is_armed(&growth->sweep))
		return;
	uint64_t wait_ms = growth->next_ms > now_ms ? growth->next_ms - now_ms : 0;
	loop_timer_start(distributor->loop, &growth->sweep, wait_ms, on_sweep);
}

static void on_sweep(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, growth.sweep);
	struct growth *growth = &distributor->growth;
	CHECK(growth->num_left == 0);
	growth->began_ms = loop_now_ms(distributor->loop);
	growth->num_left = distributor->num_streams;
	LIST_EACH(&distributor->streams, struct stream, stream, link)
		work_stream_due(stream);
}

void growth_turn_over(struct distributor *distributor)
{
	struct growth *growth = &distributor->growth;
	if (growth->num_left == 0)
		return;
	growth->num_left = list_is_empty(&distributor->streams_due) ? 0 : growth->num_left - 1;
	if (growth->num_left > 0)
		return;
	uint64_t now_ms = loop_now_ms(distributor->loop), pause_ms = SWEEP_PAUSE * (now_ms - growth->began_ms);
	growth->next_ms = now_ms + (pause_ms < SWEEP_LEAST_MS         ? SWEEP_LEAST_MS
					   : pause_ms > SWEEP_MOST_MS ? SWEEP_MOST_MS
								      : pause_ms);
	if (growth->is_due)
		sweep_soon(distributor);
}

void growth_due(struct distributor *distributor, struct topic *topic)
{
	struct growth *growth = &distributor->growth;
	if (take_sends(growth, loop_now_ms(distributor->loop), topic->num_subscriptions))
		work_topic_due(distributor, topic);
	else
		sweep_soon(distributor);
}

void growth_stop(struct distributor *distributor)
{
	loop_timer_stop(&distributor->growth.sweep);
}
