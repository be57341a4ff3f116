/* Which endpoint of a meshed destination a connection tries next: of two that are drawn at random, the one where a
 * connection costs less (decision 086), in this sidecar's zone while enough serve there. Draining ones come after the
 * others, and those that failed recently last. When these are more than half, the excess takes part, at a high price:
 * the few that are left are not overrun for the sake of failures that may be over (decision 087). All endpoints of the
 * answer take part, in an order of their own for each draw, which ends at the first that serves (decision 117). */
#include "base/core/check.h"
#include "base/core/random.h"
#include "sidecar/conn/conn_state.h"

enum {
	NO_PLACE = ANSWER_ENDPOINTS_MAX,
	FAILED_COST = 64, /* what one costs that failed recently, in connections of one that did not */
};

struct places { /* in the answer: those that are near, or so many from one on */
	const struct near_place *near;
	unsigned from, num;
};

static const struct endpoint *endpoint_at(const struct conn *conn, unsigned place)
{
	return &conn->answer->endpoints[place];
}

static unsigned num_endpoints(const struct conn *conn)
{
	return (unsigned)conn->answer->num_endpoints;
}

static bool is_tried(const struct conn *conn, unsigned place)
{
	for (unsigned i = 0; i < conn->opening->num_tried; i++)
		if (conn->opening->tried[i] == place)
			return true;
	return false;
}

static bool has_failed(const struct conn *conn, unsigned place)
{
	return outliers_has(conn->env->outliers, &endpoint_at(conn, place)->address, loop_now_ms(conn->env->loop));
}

static bool has_room(const struct conn *conn, unsigned place)
{
	struct endpoint_limit *limit = conn->env->endpoint_limit;
	return limit == NULL || !endpoint_limit_is_full(limit, &endpoint_at(conn, place)->address);
}

/* But for its tunnels, of which the look-up costs most. */
static bool is_open(const struct conn *conn, unsigned place)
{
	return !is_tried(conn, place) && !has_failed(conn, place) && has_room(conn, place);
}

static bool is_usable(const struct conn *conn, unsigned place)
{
	const struct endpoint *endpoint = endpoint_at(conn, place);
	return is_open(conn, place) && !tunnel_pool_is_suspect(conn->env->pool, &endpoint->address, &endpoint->id);
}

/* A connection that has waited for one endpoint in vain leaves it to others to try again those that failed before. */
static bool is_sound(const struct conn *conn, unsigned place)
{
	const struct addr *address = &endpoint_at(conn, place)->address;
	return !outliers_knows(conn->env->outliers, address, loop_now_ms(conn->env->loop)) && is_usable(conn, place);
}

static bool is_left(const struct conn *conn, unsigned place)
{
	return !is_tried(conn, place) && has_room(conn, place);
}

/* --- the order of one draw: each place once --- */

struct walk {
	struct places among;
	unsigned at, step, left;
};

/* Neighbors by address fail together, as a rack does: what follows them must not get all that was theirs. A prime above
 * each number of endpoints is coprime to it, so that a walk in these steps comes to each place. */
static unsigned random_step(const struct conn *conn)
{
	static const uint32_t primes[] = {68087, 70297, 75821, 79901, 88289, 88607, 89123, 98737, 99929, 108929, 109211,
		115151, 123941, 126461, 126743, 130439};
	return primes[random_spread(&conn->env->spread) % (sizeof(primes) / sizeof(primes[0]))];
}

/* With affinity all connections go from the pinned endpoint on: where it fails, they stay together. */
static struct walk walk_through(const struct conn *conn, struct places among)
{
	struct walk walk = {.among = among, .left = among.num};
	if (among.num == 0)
		return walk;
	bool is_pinned = conn->answer->affinity_s > 0;
	walk.at = (is_pinned ? conn->answer->pinned : random_spread(&conn->env->spread)) % among.num;
	walk.step = is_pinned ? 1 : random_step(conn) % among.num;
	return walk;
}

/* NO_PLACE: it has come to each. */
static unsigned walk_next(struct walk *walk)
{
	if (walk->left == 0)
		return NO_PLACE;
	unsigned at = walk->at;
	walk->left--;
	walk->at = (at + walk->step) % walk->among.num;
	return walk->among.near != NULL ? walk->among.near[at].at : walk->among.from + at;
}

typedef bool place_fn(const struct conn *conn, unsigned place);

/* NO_PLACE: none is so. */
static unsigned first_that(const struct conn *conn, struct places among, place_fn *is_so)
{
	struct walk walk = walk_through(conn, among);
	unsigned place;
	do
		place = walk_next(&walk);
	while (place != NO_PLACE && !is_so(conn, place));
	return place;
}

/* --- those that failed and take part all the same --- */

struct excess {
	unsigned num, of; /* so many of those that failed */
	unsigned at;      /* number of the next one */
};

static struct excess excess_of(const struct conn *conn)
{
	unsigned num = num_endpoints(conn), num_failed = 0;
	if (outliers_num_at_most(conn->env->outliers, loop_now_ms(conn->env->loop)) <= num / 2)
		return (struct excess){0};
	for (unsigned place = 0; place < num; place++)
		num_failed += has_failed(conn, place);
	if (num_failed <= num / 2)
		return (struct excess){0};
	return (struct excess){num_failed - num / 2, num_failed, random_spread(&conn->env->spread) % num_failed};
}

/* Of all that failed, spread evenly over the walk. */
static bool is_in_excess(const struct conn *conn, struct excess *excess, unsigned place)
{
	if (excess->num == 0 || !has_failed(conn, place))
		return false;
	return excess->at++ * excess->num % excess->of < excess->num && is_left(conn, place);
}

static unsigned other_than(const struct conn *conn, struct places among, unsigned one, place_fn *is_so)
{
	struct excess excess = excess_of(conn);
	struct walk walk = walk_through(conn, among);
	unsigned place;
	do
		place = walk_next(&walk);
	while (place != NO_PLACE && (place == one || !(is_in_excess(conn, &excess, place) || is_so(conn, place))));
	return place;
}

static uint64_t cost_at(const struct conn *conn, unsigned place)
{
	uint64_t now_ms = loop_now_ms(conn->env->loop);
	uint64_t cost = loads_cost(conn->env->loads, &endpoint_at(conn, place)->address, now_ms);
	return has_failed(conn, place) ? cost * FAILED_COST : cost;
}

static unsigned cheaper_of_two(const struct conn *conn, struct places among, place_fn *is_so)
{
	unsigned one = first_that(conn, among, is_so);
	if (one == NO_PLACE || among.num < 2 || conn->answer->affinity_s > 0)
		return one;
	unsigned other = other_than(conn, among, one, is_so);
	return other != NO_PLACE && cost_at(conn, other) < cost_at(conn, one) ? other : one;
}

static struct places staying_places(const struct conn *conn)
{
	return (struct places){.num = num_endpoints(conn) - (unsigned)conn->answer->num_draining};
}

static struct places draining_places(const struct conn *conn)
{
	struct places staying = staying_places(conn);
	return (struct places){.from = staying.num, .num = num_endpoints(conn) - staying.num};
}

/* What may be out of use of all destinations: where it is less than half of these places, none is looked at. */
static size_t num_out_at_most(const struct conn *conn)
{
	size_t num = outliers_num_at_most(conn->env->outliers, loop_now_ms(conn->env->loop));
	if (conn->env->endpoint_limit != NULL)
		num += endpoint_limit_num_full(conn->env->endpoint_limit);
	return num + conn->opening->num_tried;
}

static bool do_enough_serve(const struct conn *conn, struct places near)
{
	unsigned num_open = 0;
	if (near.num == 0 || 2 * num_out_at_most(conn) <= near.num)
		return near.num > 0;
	for (unsigned i = 0; i < near.num; i++)
		num_open += is_open(conn, near.near[i].at);
	return num_open > 0 && 2 * num_open >= near.num;
}

/* Those in this sidecar's zone, while at least half of them serve; num 0: all are equal. */
static struct places near_places(const struct conn *conn)
{
	const struct mesh_networks *networks = conn->env->snapshot->networks;
	size_t num = 0;
	if (networks == NULL || networks->zone == 0 || conn->answer->affinity_s > 0)
		return (struct places){0};
	const struct near_place *near = answer_near(conn->answer, networks->zone, &num);
	const struct places places = {.near = near, .num = (unsigned)num};
	return do_enough_serve(conn, places) ? places : (struct places){0};
}

static unsigned choose_that(const struct conn *conn, struct places near, place_fn *is_so)
{
	unsigned place = cheaper_of_two(conn, near, is_so);
	if (place == NO_PLACE) /* also when all tunnels to those that are near are silent */
		place = cheaper_of_two(conn, staying_places(conn), is_so);
	return place;
}

static unsigned choose_place(const struct conn *conn)
{
	if (conn->answer->num_endpoints == 1)
		return 0;
	struct places near = near_places(conn);
	bool was_in_vain = conn->opening->num_tried > 0 && conn->answer->affinity_s == 0;
	unsigned place = was_in_vain ? choose_that(conn, near, is_sound) : NO_PLACE;
	if (place == NO_PLACE)
		place = choose_that(conn, near, is_usable);
	if (place == NO_PLACE)
		place = cheaper_of_two(conn, draining_places(conn), is_usable);
	if (place == NO_PLACE)
		place = first_that(conn, staying_places(conn), is_left);
	return place != NO_PLACE ? place : first_that(conn, draining_places(conn), is_left);
}

const struct endpoint *conn_choose_endpoint(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	CHECK(conn_has_next_endpoint(conn));
	unsigned place = choose_place(conn);
	if (place == NO_PLACE)
		return NULL;
	CHECK(place < num_endpoints(conn) && !is_tried(conn, place));
	opening->tried[opening->num_tried++] = (uint16_t)place;
	return endpoint_at(conn, place);
}

void conn_choose_again(struct conn *conn)
{
	CHECK(conn->opening->num_tried > 0);
	conn->opening->num_tried--;
}

bool conn_has_next_endpoint(const struct conn *conn)
{
	unsigned num_tried = conn->opening->num_tried;
	return num_tried < num_endpoints(conn) && num_tried < ENDPOINT_TRIES_MAX;
}

bool conn_has_usable_endpoint(const struct conn *conn)
{
	return first_that(conn, (struct places){.num = num_endpoints(conn)}, is_usable) != NO_PLACE;
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
