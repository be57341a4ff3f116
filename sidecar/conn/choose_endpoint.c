/* Which endpoint of a meshed destination a connection tries next: of two that are drawn at random, the one where a
 * connection costs less (decision 086), in this sidecar's zone while enough serve there. Draining ones come after the
 * others, and those that failed recently last. When these are more than half, the excess takes part, at a high price:
 * the few that are left are not overrun for the sake of failures that may be over (decision 087). */
#include "base/core/check.h"
#include "base/core/random.h"
#include "sidecar/conn/conn_state.h"

enum {
	PLACES_MAX = 64, /* bits in conn.tried: the endpoint is chosen among so many, from a random one on */
	TRIES_MAX = 16,
	NO_PLACE = PLACES_MAX,
	FAILED_COST = 64, /* what one costs that failed recently, in connections of one that did not */
};

static const struct endpoint *endpoint_at(const struct conn *conn, unsigned place)
{
	return answer_endpoint(conn->answer, conn->opening->first_endpoint, place);
}

static unsigned num_places(const struct conn *conn)
{
	size_t num = conn->answer->num_endpoints;
	return num < PLACES_MAX ? (unsigned)num : PLACES_MAX;
}

static bool is_tried(const struct conn *conn, unsigned place)
{
	return (conn->opening->tried >> place & 1) != 0;
}

static bool has_failed(const struct conn *conn, const struct endpoint *endpoint)
{
	return outliers_has(conn->env->outliers, &endpoint->address, loop_now_ms(conn->env->loop));
}

static bool has_room(const struct conn *conn, const struct endpoint *endpoint)
{
	struct endpoint_limit *limit = conn->env->endpoint_limit;
	return limit == NULL || !endpoint_limit_is_full(limit, &endpoint->address);
}

/* But for its tunnels, of which the look-up costs most. */
static bool is_open(const struct conn *conn, unsigned place)
{
	const struct endpoint *endpoint = endpoint_at(conn, place);
	return !is_tried(conn, place) && !has_failed(conn, endpoint) && has_room(conn, endpoint);
}

static bool is_usable(const struct conn *conn, unsigned place)
{
	const struct endpoint *endpoint = endpoint_at(conn, place);
	return is_open(conn, place) && !tunnel_pool_is_suspect(conn->env->pool, &endpoint->address, &endpoint->id);
}

/* One bit for each place that failed recently and takes part all the same. */
static uint64_t excess_places(const struct conn *conn)
{
	unsigned num = num_places(conn), num_failed = 0;
	uint64_t excess = 0;
	if (outliers_is_empty(conn->env->outliers))
		return 0;
	for (unsigned place = 0; place < num; place++) {
		bool failed = has_failed(conn, endpoint_at(conn, place));
		num_failed += failed;
		if (failed && num_failed > num / 2)
			excess |= UINT64_C(1) << place;
	}
	return excess;
}

struct range { /* of places */
	unsigned from, num;
	bool is_near; /* those in this sidecar's zone alone */
};

static uint32_t own_zone(const struct conn *conn)
{
	const struct mesh_networks *networks = conn->env->snapshot->networks;
	return networks == NULL ? 0 : networks->zone;
}

static bool is_near(const struct conn *conn, unsigned place)
{
	return endpoint_is_near(endpoint_at(conn, place), own_zone(conn));
}

static bool is_within(const struct conn *conn, struct range range, unsigned place)
{
	return !range.is_near || is_near(conn, place);
}

/* The first usable place; NO_PLACE: none is. */
static unsigned first_usable(const struct conn *conn, struct range range)
{
	for (unsigned place = range.from; place < range.from + range.num; place++)
		if (is_within(conn, range, place) && is_usable(conn, place))
			return place;
	return NO_PLACE;
}

static unsigned other_from(const struct conn *conn, struct range range, unsigned one)
{
	uint64_t excess = excess_places(conn);
	unsigned start = random_spread(&conn->env->spread) % range.num;
	for (unsigned i = 0; i < range.num; i++) {
		unsigned place = range.from + (start + i) % range.num;
		bool is_excess = (excess >> place & 1) != 0 && !is_tried(conn, place);
		if (place != one && is_within(conn, range, place) && (is_excess || is_usable(conn, place)))
			return place;
	}
	return NO_PLACE;
}

static uint64_t cost_at(const struct conn *conn, unsigned place)
{
	const struct addr *endpoint = &endpoint_at(conn, place)->address;
	uint64_t now_ms = loop_now_ms(conn->env->loop), cost = loads_cost(conn->env->loads, endpoint, now_ms);
	return outliers_has(conn->env->outliers, endpoint, now_ms) ? cost * FAILED_COST : cost;
}

/* The first place is random already: places are counted from a random endpoint on. */
static unsigned cheaper_of_two(const struct conn *conn, struct range range)
{
	unsigned one = first_usable(conn, range);
	if (one == NO_PLACE || range.num < 2 || conn->answer->affinity_s > 0)
		return one;
	unsigned other = other_from(conn, range, one);
	return other != NO_PLACE && cost_at(conn, other) < cost_at(conn, one) ? other : one;
}

static struct range staying_places(const struct conn *conn)
{
	size_t num = conn->answer->num_endpoints - conn->answer->num_draining;
	return (struct range){0, num < PLACES_MAX ? (unsigned)num : PLACES_MAX, false};
}

static struct range draining_places(const struct conn *conn)
{
	struct range staying = staying_places(conn);
	return (struct range){staying.num, num_places(conn) - staying.num, false};
}

/* Those in this sidecar's zone, while at least half of them serve. */
static bool has_enough_near(const struct conn *conn, struct range range)
{
	unsigned num_near = 0, num_open = 0;
	if (own_zone(conn) == 0)
		return false;
	for (unsigned place = range.from; place < range.from + range.num; place++)
		if (is_near(conn, place)) {
			num_near++;
			num_open += is_open(conn, place);
		}
	return num_open > 0 && 2 * num_open >= num_near;
}

static unsigned last_resort(const struct conn *conn)
{
	for (unsigned place = 0; place < num_places(conn); place++)
		if (!is_tried(conn, place))
			return place;
	CHECK_UNREACHABLE();
}

static unsigned choose_place(const struct conn *conn)
{
	if (conn->answer->num_endpoints == 1)
		return 0;
	struct range staying = staying_places(conn);
	staying.is_near = conn->answer->affinity_s == 0 && has_enough_near(conn, staying);
	unsigned place = cheaper_of_two(conn, staying);
	if (place == NO_PLACE && staying.is_near) /* all tunnels to these are silent */
		place = cheaper_of_two(conn, staying_places(conn));
	if (place == NO_PLACE)
		place = cheaper_of_two(conn, draining_places(conn));
	return place != NO_PLACE ? place : last_resort(conn);
}

const struct endpoint *conn_choose_endpoint(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	if (opening->tried == 0)
		opening->first_endpoint = (uint16_t)random_spread(&conn->env->spread);
	unsigned place = choose_place(conn);
	CHECK(place < num_places(conn) && opening->num_tried < TRIES_MAX && !is_tried(conn, place));
	opening->tried |= UINT64_C(1) << place;
	opening->tried_last = (uint8_t)place;
	opening->num_tried++;
	return endpoint_at(conn, place);
}

void conn_choose_again(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	CHECK(opening->num_tried > 0 && is_tried(conn, opening->tried_last));
	opening->num_tried--;
	opening->tried &= ~(UINT64_C(1) << opening->tried_last);
}

void conn_pass_over(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	CHECK(opening->num_tried > 0 && is_tried(conn, opening->tried_last));
	opening->num_tried--;
}

bool conn_has_next_endpoint(const struct conn *conn)
{
	unsigned num = num_places(conn);
	uint64_t all = num == PLACES_MAX ? UINT64_MAX : (UINT64_C(1) << num) - 1;
	return conn->opening->tried != all && conn->opening->num_tried < TRIES_MAX;
}

bool conn_has_usable_endpoint(const struct conn *conn)
{
	return first_usable(conn, (struct range){0, num_places(conn), false}) != NO_PLACE;
}

bool conn_hold_endpoint(struct conn *conn, const struct addr *endpoint)
{
	struct endpoint_limit *limit = conn->env->endpoint_limit;
	CHECK(conn->load == NULL);
	if (limit != NULL && !endpoint_limit_take(limit, endpoint))
		return false;
	conn->endpoint = *endpoint;
	conn->load = loads_take(conn->env->loads, endpoint);
	return true;
}

void conn_release_endpoint(struct conn *conn)
{
	if (conn->load == NULL)
		return;
	loads_give_back(conn->env->loads, TAKE_PTR(conn->load));
	if (conn->env->endpoint_limit != NULL)
		endpoint_limit_give_back(conn->env->endpoint_limit, &conn->endpoint);
}
