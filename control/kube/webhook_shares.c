/* Who may have how much of the webhook: connections and bytes. All reviews of a cluster come from one address, that of
 * its API server, so sources alone do not protect pods: reviews of other kinds are a class of their own, which has at
 * most half of everything (abuse case K26). What a review is about is in its first bytes; before they are there, it
 * weighs nothing, and its connection counts as one for pods. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/random.h"
#include "control/kube/webhook_private.h"

enum { H2_CANCEL = 8 };

struct shares *webhook_shares_new(uint64_t capacity)
{
	return shares_new(&(struct shares_options){.capacity = capacity,
		.num_classes = WEBHOOK_NUM_CLASSES,
		.classes = {[WEBHOOK_PODS] = {.reserve = capacity / 2}, [WEBHOOK_OTHERS] = {.max = capacity / 2}},
		.seed = random_u64()});
}

/* --- connections --- */

static enum share_limit take(struct webhook_conn *conn, enum webhook_class class)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&conn->from.ip, keys);
	return shares_take(conn->webhook->places, class, keys, num_keys, 1, &conn->place);
}

/* The oldest connection of the source that has most, if that has more than this one's. */
static bool evict(struct webhook_conn *conn, enum webhook_class class)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&conn->from.ip, keys);
	struct share *heavy = shares_eviction_candidate(conn->webhook->places, class, keys, num_keys, 1);
	if (heavy == NULL)
		return false;
	webhook_conn_free(container_of(heavy, struct webhook_conn, place));
	return true;
}

/* A client that has an idle connection uses it for its next request, unless it is another client at the same address:
 * another API server behind the same translation, or the same one for another registration. */
static bool evict_idle(struct webhook_conn *conn)
{
	LIST_EACH_REMOVABLE(&conn->webhook->conns, struct webhook_conn, other, link) {
		if (!webhook_conn_is_idle(other) || !ip_addr_eq(&other->from.ip, &conn->from.ip))
			continue;
		webhook_conn_free(other);
		return true;
	}
	return false;
}

bool webhook_conn_take_place(struct webhook_conn *conn)
{
	if (take(conn, WEBHOOK_PODS) == SHARE_LIMIT_NONE)
		return true;
	if (limited_log_allows_source(conn->webhook->lines, &conn->from.ip, "connections"))
		log_warning("webhook", "all %d connections of the webhook are in use", WEBHOOK_CONNECTIONS_MAX);
	return (evict(conn, WEBHOOK_PODS) || evict_idle(conn)) && take(conn, WEBHOOK_PODS) == SHARE_LIMIT_NONE;
}

/* A connection is one of the others while it has a request of theirs. */
static bool add_other(struct webhook_conn *conn)
{
	if (conn->num_others > 0) {
		conn->num_others++;
		return true;
	}
	shares_give(&conn->place);
	if (take(conn, WEBHOOK_OTHERS) == SHARE_LIMIT_NONE ||
		(evict(conn, WEBHOOK_OTHERS) && take(conn, WEBHOOK_OTHERS) == SHARE_LIMIT_NONE)) {
		conn->num_others = 1;
		return true;
	}
	CHECK(take(conn, WEBHOOK_PODS) == SHARE_LIMIT_NONE); /* it had one */
	return false;
}

static void remove_other(struct webhook_conn *conn)
{
	CHECK(conn->num_others > 0);
	if (--conn->num_others > 0)
		return;
	shares_give(&conn->place);
	CHECK(take(conn, WEBHOOK_PODS) == SHARE_LIMIT_NONE); /* the others' maximum leaves theirs to pods */
}

/* --- requests --- */

static bool classify(struct webhook_request *request, bool is_whole)
{
	struct span body = buf_span(&request->body);
	if (request->is_classified)
		return true;
	bool is_pods = admission_is_of_pods(body);
	if (!is_pods && !is_whole && body.len < ADMISSION_BEGINNING)
		return true;
	if (!is_pods && !add_other(request->conn))
		return false;
	request->is_classified = true;
	request->class = is_pods ? WEBHOOK_PODS : WEBHOOK_OTHERS;
	return true;
}

/* An answer that its peer does not take. */
static void abandon(struct webhook_request *request)
{
	if (request->conn->http1 != NULL) {
		webhook_conn_free(request->conn);
		return;
	}
	buf_done(&request->answer);
	shares_give(&request->bytes);
	h2_stream_reset(h2_link_session(request->conn->h2), request->stream_id, H2_CANCEL);
	h2_link_flush(request->conn->h2);
}

static bool make_room(struct webhook_request *request, size_t len)
{
	struct shares *bodies = request->conn->webhook->bodies;
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&request->conn->from.ip, keys);
	for (;;) {
		uint64_t had = request->bytes.weight;
		enum share_limit limit = request->bytes.shares == NULL ? shares_take(bodies, request->class, keys,
										 num_keys, len, &request->bytes)
								       : shares_resize(&request->bytes, len);
		if (limit == SHARE_LIMIT_NONE)
			return true;
		struct share *heavy = shares_eviction_candidate(bodies, request->class, keys, num_keys, len - had);
		if (heavy == NULL || heavy == &request->bytes)
			return false;
		struct webhook_request *other = container_of(heavy, struct webhook_request, bytes);
		if (other->is_answered)
			abandon(other);
		else
			webhook_request_refuse(other);
	}
}

bool webhook_request_weigh(struct webhook_request *request, bool is_whole, size_t len)
{
	if (!classify(request, is_whole))
		return false;
	return !request->is_classified || make_room(request, len > 0 ? len : 1);
}

void webhook_request_lighten(struct webhook_request *request, size_t len)
{
	if (request->bytes.shares != NULL && len > 0 && len < request->bytes.weight)
		CHECK(shares_resize(&request->bytes, len) == SHARE_LIMIT_NONE);
}

void webhook_request_release(struct webhook_request *request)
{
	shares_give(&request->bytes);
	if (request->is_classified && request->class == WEBHOOK_OTHERS)
		remove_other(request->conn);
}
