#include "sidecar/tunnel/tunnel_set.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/tunnel/identity_age.h"
#include "sidecar/tunnel/stream.h"
#include "sidecar/tunnel/tunnel.h"

enum {
	HANDSHAKES_PER_ROUND = 4, /* about a millisecond */
	SHED_EVERY_MS = 100,
	UNREAD_TOO_LONG_MS = 1000, /* a reader that only pauses is left alone */
};

static void set_default(uint32_t *limit, uint32_t value)
{
	if (*limit == 0)
		*limit = value;
}

static void set_defaults(struct tunnel_limits *limits)
{
	set_default(&limits->max_streams, 4096);
	set_default(&limits->max_tunnels, 1024);
	set_default(&limits->connect_timeout_ms, 10000);
	set_default(&limits->handshake_timeout_ms, 5000);
	set_default(&limits->idle_ms, 60000);
	set_default(&limits->ping_ms, 10000);
}

void tunnel_set_init(struct tunnel_set *set, const struct tunnel_options *options, const struct tunnel_hooks *hooks,
	void *owner, bool outbound)
{
	*set = (struct tunnel_set){
		.loop = options->loop,
		.context = options->context,
		.scratch = options->scratch,
		.verify_cache = options->verify_cache,
		.budget = options->budget,
		.time = options->time,
		.limits = options->limits,
		.observer = options->observer,
		.outbound = outbound,
		.hooks = hooks,
		.owner = owner,
	};
	set_defaults(&set->limits);
	/* The budget is the whole process's, so this bounds only what one identity has of it on this worker. */
	uint64_t budget = flow_control_memory_size(set->budget);
	set->windows = shares_new(&(struct shares_options){.capacity = budget,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_IDENTITY] = budget / 4}}},
		.seed = random_u64()});
	set->in = mem_alloc(TUNNEL_IN_LEN);
	buf_init(&set->out, PACE_MAX);
	identity_age_start(set);
}

void tunnel_set_add(struct tunnel_set *set, struct tunnel *tunnel)
{
	list_push_front(&set->tunnels, &tunnel->link);
	set->num_tunnels++;
}

void tunnel_set_remove(struct tunnel *tunnel)
{
	CHECK(tunnel->set->num_tunnels > 0 && tunnel->num_streams == 0);
	list_remove(&tunnel->link);
	tunnel->set->num_tunnels--;
}

void tunnel_set_done(struct tunnel_set *set)
{
	static const struct why closing = {.err = ERR_CLOSED, .got = "this sidecar is closing"};
	identity_age_stop(set);
	LIST_EACH(&set->tunnels, struct tunnel, tunnel, link)
		tunnel_end(tunnel, &closing);
	LIST_EACH_REMOVABLE(&set->tunnels, struct tunnel, tunnel, link) {
		loop_task_cancel(&tunnel->free_deferred);
		tunnel->free_deferred.on_run(&tunnel->free_deferred);
	}
	CHECK(set->num_tunnels == 0);
	CHECK(set->num_streams == 0);
	loop_task_cancel(&set->round);
	shares_free(set->windows);
	credentials_unref(set->credentials);
	bundle_set_unref(set->judged);
	mem_free(set->in);
	buf_done(&set->out);
}

static void drain_all(struct tunnel_set *set)
{
	LIST_EACH(&set->tunnels, struct tunnel, tunnel, link)
		tunnel_drain(tunnel);
}

/* Verifying costs two signatures for each tunnel, so it is done only where the answer can have changed: a renewal of
 * our own certificate brings the same roots and lists again. */
static void judge_all(struct tunnel_set *set)
{
	struct bundle_set *bundles = credentials_bundles(set->credentials);
	bool has_new_anchors = set->judged == NULL || !bundle_set_has_same_anchors(set->judged, bundles);
	LIST_EACH(&set->tunnels, struct tunnel, tunnel, link)
		tunnel_judge(tunnel, has_new_anchors);
	bundle_set_unref(set->judged);
	set->judged = bundle_set_ref(bundles);
}

void tunnel_set_credentials(struct tunnel_set *set, struct credentials *credentials)
{
	if (credentials == set->credentials)
		return;
	credentials_unref(set->credentials);
	set->credentials = credentials == NULL ? NULL : credentials_ref(credentials);
	if (credentials != NULL)
		judge_all(set);
	/* Trust alone may have changed, which judge_all() has applied. */
	LIST_EACH(&set->tunnels, struct tunnel, tunnel, link)
		if (!tunnel_follow(tunnel, credentials))
			tunnel_drain(tunnel);
}

void tunnel_set_drain(struct tunnel_set *set)
{
	set->is_draining = !set->outbound;
	drain_all(set);
}

static void on_round(struct loop_task *task)
{
	container_of(task, struct tunnel_set, round)->num_handshaken = 0;
}

bool tunnel_set_may_handshake(struct tunnel_set *set)
{
	loop_task_post(set->loop, &set->round, on_round);
	return ++set->num_handshaken <= HANDSHAKES_PER_ROUND;
}

int64_t tunnel_set_now_s(const struct tunnel_set *set)
{
	return trusted_time_now_s(set->time, loop_clock(set->loop));
}

int64_t tunnel_set_oldest_identity_s(const struct tunnel_set *set)
{
	int64_t oldest_s = 0;
	LIST_EACH(&set->tunnels, const struct tunnel, tunnel, link) {
		int64_t age_s = tunnel->num_streams == 0 ? 0 : tunnel_identity_age_s(tunnel);
		oldest_s = age_s > oldest_s ? age_s : oldest_s;
	}
	return oldest_s;
}

void tunnel_set_each(const struct tunnel_set *set, tunnel_each_fn *each, void *arg)
{
	LIST_EACH(&set->tunnels, const struct tunnel, tunnel, link)
		if (tunnel->state == TUNNEL_OPEN)
			each(arg, set->outbound, &tunnel->local, &tunnel->remote, tunnel_peer(tunnel),
				tunnel->num_streams, tunnel->is_draining,
				key_exchange_name(tls_session_key_exchange(tunnel->tls)));
}

/* --- the memory limit --- */

bool tunnel_windows_take(struct tunnel *tunnel, uint32_t bytes)
{
	struct share *share = &tunnel->of_windows;
	const struct svid *peer = tunnel_peer(tunnel);
	if (share->shares != NULL)
		return shares_resize(share, share->weight + bytes) == SHARE_LIMIT_NONE;
	if (peer == NULL || tunnel->state == TUNNEL_CLOSED)
		return false;
	struct share_key key = share_key_of_bytes(span_of_str(svid_id(peer)->text));
	return shares_take(tunnel->set->windows, 0, &key, 1, bytes, share) == SHARE_LIMIT_NONE;
}

void tunnel_windows_give(struct tunnel *tunnel, uint32_t bytes)
{
	struct share *share = &tunnel->of_windows;
	if (bytes == 0 || share->shares == NULL)
		return;
	CHECK(bytes <= share->weight);
	if (bytes == share->weight)
		shares_give(share);
	else
		CHECK(shares_resize(share, share->weight - bytes) == SHARE_LIMIT_NONE);
}

static uint32_t unread_ms(const struct stream *stream, uint64_t now_ms)
{
	return (uint32_t)now_ms - stream->unread_since_ms;
}

static bool is_unread(const struct stream *stream, uint64_t now_ms)
{
	return stream->is_held && !stream->leg.is_reset && window_charged(&stream->window) > 0 &&
	       stream->leg.buffered != NULL && unread_ms(stream, now_ms) >= UNREAD_TOO_LONG_MS;
}

static uint64_t unread_of(const struct tunnel *tunnel, uint64_t now_ms)
{
	uint64_t charged = 0;
	LIST_EACH(&tunnel->streams, const struct stream, stream, link)
		charged += is_unread(stream, now_ms) ? window_charged(&stream->window) : 0;
	return charged;
}

static bool is_same_peer(const struct tunnel *a, const struct tunnel *b)
{
	const struct svid *peer_a = tunnel_peer(a), *peer_b = tunnel_peer(b);
	return peer_a != NULL && peer_b != NULL && spiffe_id_eq(svid_id(peer_a), svid_id(peer_b));
}

/* A tunnel of the identity whose unread streams hold most; NULL: nothing is unread. */
static const struct tunnel *find_heaviest(const struct tunnel_set *set, uint64_t now_ms)
{
	const struct tunnel *heaviest = NULL;
	uint64_t most = 0;
	LIST_EACH(&set->tunnels, const struct tunnel, tunnel, link) {
		uint64_t charged = unread_of(tunnel, now_ms);
		for (const struct tunnel *rest = tunnel;
			charged > 0 && (rest = LIST_NEXT(&set->tunnels, rest, link)) != NULL;)
			charged += is_same_peer(tunnel, rest) ? unread_of(rest, now_ms) : 0;
		if (charged > most) {
			most = charged;
			heaviest = tunnel;
		}
	}
	return heaviest;
}

static struct stream *find_longest_unread(const struct tunnel_set *set, const struct tunnel *like, uint64_t now_ms)
{
	struct stream *longest = NULL;
	LIST_EACH(&set->tunnels, struct tunnel, tunnel, link) {
		if (tunnel != like && !is_same_peer(tunnel, like))
			continue;
		LIST_EACH(&tunnel->streams, struct stream, stream, link)
			if (is_unread(stream, now_ms) &&
				(longest == NULL || unread_ms(stream, now_ms) > unread_ms(longest, now_ms)))
				longest = stream;
	}
	return longest;
}

static bool is_time_to_shed(struct tunnel_set *set, uint64_t now_ms)
{
	if (set->shed_ms != 0 && now_ms - set->shed_ms < SHED_EVERY_MS)
		return false;
	set->shed_ms = now_ms;
	return true;
}

void tunnel_set_shed(struct tunnel_set *set)
{
	uint64_t now_ms = loop_now_ms(set->loop);
	const struct tunnel *heaviest = is_time_to_shed(set, now_ms) ? find_heaviest(set, now_ms) : NULL;
	if (heaviest == NULL)
		return;
	struct stream *longest = find_longest_unread(set, heaviest, now_ms);
	CHECK(longest != NULL);
	stream_limit(longest);
}

void tunnel_set_shed_peer(struct tunnel *tunnel)
{
	uint64_t now_ms = loop_now_ms(tunnel->set->loop);
	if (!is_time_to_shed(tunnel->set, now_ms))
		return;
	struct stream *longest = find_longest_unread(tunnel->set, tunnel, now_ms);
	if (longest != NULL)
		stream_limit(longest);
}
