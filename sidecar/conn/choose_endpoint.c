/* Which endpoint of a meshed destination a connection tries next: of two that are chosen at random, the one where a
 * connection costs less (decision 086). Draining ones come after the others, and those that failed recently last. */
#include "base/core/check.h"
#include "base/core/random.h"
#include "sidecar/conn/conn_state.h"

enum {
	PLACES_MAX = 64, /* bits in conn.tried: the endpoint is chosen among so many, from a random one on */
	TRIES_MAX = 16,
	NO_PLACE = PLACES_MAX,
};

static const struct endpoint *endpoint_at(const struct conn *conn, unsigned place)
{
	return answer_endpoint(conn->answer, conn->first_endpoint, place);
}

static unsigned num_places(const struct conn *conn)
{
	size_t num = conn->answer->num_endpoints;
	return num < PLACES_MAX ? (unsigned)num : PLACES_MAX;
}

static bool is_tried(const struct conn *conn, unsigned place)
{
	return (conn->tried >> place & 1) != 0;
}

static bool is_usable(const struct conn *conn, unsigned place)
{
	const struct endpoint *endpoint = endpoint_at(conn, place);
	return !is_tried(conn, place) &&
	       !outliers_has(conn->env->outliers, &endpoint->address, loop_now_ms(conn->env->loop)) &&
	       !tunnel_pool_is_suspect(conn->env->pool, &endpoint->address, &endpoint->id);
}

struct range { /* of places */
	unsigned from, num;
};

/* The first usable place, from the one with this number on and around; NO_PLACE: none but `other` is. */
static unsigned usable_from(const struct conn *conn, struct range range, unsigned start, unsigned other)
{
	for (unsigned i = 0; i < range.num; i++) {
		unsigned place = range.from + (start + i) % range.num;
		if (place != other && is_usable(conn, place))
			return place;
	}
	return NO_PLACE;
}

static uint64_t cost_at(const struct conn *conn, unsigned place)
{
	return loads_cost(conn->env->loads, &endpoint_at(conn, place)->address, loop_now_ms(conn->env->loop));
}

/* The first place is random already: places are counted from a random endpoint on. */
static unsigned cheaper_of_two(const struct conn *conn, struct range range)
{
	unsigned one = usable_from(conn, range, 0, NO_PLACE);
	if (one == NO_PLACE || range.num < 2 || conn->answer->affinity_s > 0)
		return one;
	unsigned other = usable_from(conn, range, random_spread(&conn->env->spread) % range.num, one);
	return other != NO_PLACE && cost_at(conn, other) < cost_at(conn, one) ? other : one;
}

static struct range staying_places(const struct conn *conn)
{
	size_t num = conn->answer->num_endpoints - conn->answer->num_draining;
	return (struct range){0, num < PLACES_MAX ? (unsigned)num : PLACES_MAX};
}

static struct range draining_places(const struct conn *conn)
{
	struct range staying = staying_places(conn);
	return (struct range){staying.num, num_places(conn) - staying.num};
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
	unsigned place = cheaper_of_two(conn, staying_places(conn));
	if (place == NO_PLACE)
		place = cheaper_of_two(conn, draining_places(conn));
	return place != NO_PLACE ? place : last_resort(conn);
}

const struct endpoint *conn_choose_endpoint(struct conn *conn)
{
	if (conn->num_tried == 0)
		conn->first_endpoint = (uint16_t)random_spread(&conn->env->spread);
	unsigned place = choose_place(conn);
	CHECK(place < num_places(conn) && conn->num_tried < TRIES_MAX && !is_tried(conn, place));
	conn->tried |= UINT64_C(1) << place;
	conn->tried_last = (uint8_t)place;
	conn->num_tried++;
	return endpoint_at(conn, place);
}

void conn_choose_again(struct conn *conn)
{
	CHECK(conn->num_tried > 0 && is_tried(conn, conn->tried_last));
	conn->num_tried--;
	conn->tried &= ~(UINT64_C(1) << conn->tried_last);
}

bool conn_has_next_endpoint(const struct conn *conn)
{
	return conn->num_tried < num_places(conn) && conn->num_tried < TRIES_MAX;
}

bool conn_has_usable_endpoint(const struct conn *conn)
{
	return usable_from(conn, (struct range){0, num_places(conn)}, 0, NO_PLACE) != NO_PLACE;
}
