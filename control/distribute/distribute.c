#include "control/distribute/distribute.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/distribute/distribute_private.h"

enum {
	/* Bounds the memory that sidecars can use here, about 150 bytes per subscription or name of a service. A
	 * sidecar itself has at most 16,384. */
	SUBSCRIPTIONS_MAX = 32768, /* per stream */
	IDENTITY_SUBSCRIPTIONS_MAX = 1024 * 1024,
	ALL_SUBSCRIPTIONS_MAX = 4 * 1024 * 1024,

	AT_ONCE_MAX = 64, /* answers to one message at once; the others follow in slices */
	TOPICS_EXPECTED = 65536,
	SITES_EXPECTED = 16384,
	MESSAGE_MAX = 4 * 1024 * 1024,
};

struct distributor *distributor_new(struct loop *loop, struct registry *registry, const struct control_config *config)
{
	struct distributor *distributor = mem_new(struct distributor);
	distributor->loop = loop;
	distributor->registry = registry;
	distributor->config = config;
	/* Versions also grow across restarts: a sidecar ignores a version below the highest that it has received. */
	distributor->mesh_version = distributor->answer_version = (uint64_t)loop_clock(loop)->wall_ms(loop_clock(loop))
								  << 16;
	table_init(&distributor->topics, TOPICS_EXPECTED);
	table_init(&distributor->sites, SITES_EXPECTED);
	table_init(&distributor->names_by_text, 0);
	distributor->names_changes = 1; /* a name that was not resolved yet has 0 */
	distributor->lines = limited_log_new(loop, "distribute");
	distributor->shares = shares_new(&(struct shares_options){.capacity = ALL_SUBSCRIPTIONS_MAX,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_IDENTITY] = IDENTITY_SUBSCRIPTIONS_MAX}}},
		.seed = random_u64()});
	buf_init(&distributor->message, MESSAGE_MAX);
	buf_init(&distributor->batch, MESSAGE_MAX);
	return distributor;
}

void distributor_free(struct distributor *distributor)
{
	CHECK(list_is_empty(&distributor->streams) && distributor->num_streams == 0);
	CHECK(list_is_empty(&distributor->streams_due) && list_is_empty(&distributor->topics_due));
	CHECK(list_is_empty(&distributor->sites_due));
	growth_stop(distributor);
	loop_timer_stop(&distributor->work);
	loop_timer_stop(&distributor->naming_timer);
	loop_timer_stop(&distributor->zones);
	loop_task_cancel(&distributor->catch_up);
	loop_timer_stop(&distributor->retry);
	table_done(&distributor->topics);
	table_done(&distributor->sites);
	table_done(&distributor->names_by_text);
	shares_free(distributor->shares);
	limited_log_free(distributor->lines);
	buf_done(&distributor->message);
	buf_done(&distributor->batch);
	mem_free(distributor);
}

uint64_t distributor_num_charged(const struct distributor *distributor)
{
	return shares_used(distributor->shares, 0);
}

uint64_t distributor_num_suppressed(const struct distributor *distributor)
{
	return limited_log_num_suppressed(distributor->lines);
}

const struct distributor_counts *distributor_counts(const struct distributor *distributor)
{
	return &distributor->counts;
}

void distributor_registry_changed(struct distributor *distributor, const struct ip_addr *ip)
{
	named_changed(distributor);
	zones_changed(distributor);
	work_sites_due(distributor, ip);
}

/* --- subscriptions of a stream --- */

static uint64_t hash_of(const struct stream *stream, const struct addr *destination)
{
	return addr_hash(destination, stream->subscriptions.seed);
}

static bool is_of(const struct table_link *link, const void *destination)
{
	return addr_eq(&container_of(link, const struct subscription, link)->topic->destination, destination);
}

static struct subscription *find(const struct stream *stream, const struct addr *destination)
{
	struct table_link *link = table_find(&stream->subscriptions, hash_of(stream, destination), is_of, destination);
	return link == NULL ? NULL : container_of(link, struct subscription, link);
}

/* One more than it has, as a share of 0 does not exist. */
static size_t weight_of(const struct stream *stream)
{
	return 1 + stream->num_services + stream->subscriptions.num;
}

static enum err may_have(struct stream *stream, size_t more, struct why *why)
{
	enum share_limit limit = SHARE_LIMIT_IDENTITY;
	if (stream->share.shares != NULL)
		limit = shares_resize(&stream->share, weight_of(stream) + more);
	if (limit != SHARE_LIMIT_NONE)
		return why_set(why, ERR_LIMIT, "a subscription below the limit",
			"find the sidecars of this identity that subscribe so much", "%s is reached",
			share_limit_text(limit));
	return ERR_NONE;
}

static enum err may_subscribe(struct stream *stream, struct why *why)
{
	if (stream->subscriptions.num >= SUBSCRIPTIONS_MAX)
		return why_set(why, ERR_LIMIT, "at most 32768 subscriptions per sidecar",
			"unsubscribe unused destinations", "the sidecar has more");
	return may_have(stream, 1, why);
}

static int64_t wall_s(const struct distributor *distributor)
{
	const struct clock *clock = loop_clock(distributor->loop);
	return clock->wall_ms(clock) / 1000;
}

static enum err subscription_add(
	struct stream *stream, const struct addr *destination, struct subscription **out, struct why *why)
{
	RETURN_IF_ERR(may_subscribe(stream, why));
	struct subscription *subscription = mem_new(struct subscription);
	subscription->stream = stream;
	subscription->since_s = wall_s(stream->distributor);
	subscription->topic = topic_take(stream->distributor, destination);
	list_push_front(&subscription->topic->subscriptions, &subscription->of_topic);
	subscription->topic->num_subscriptions++;
	size_t num_buckets = stream->subscriptions.num_buckets;
	table_add(&stream->subscriptions, &subscription->link, hash_of(stream, destination));
	if (stream->subscriptions.num_buckets != num_buckets)
		stream->cursor = 0; /* catching up starts over; what was sent is not sent again */
	*out = subscription;
	return ERR_NONE;
}

/* known: the digest of the answer that the sidecar has; NULL: it has none. */
static enum err subscribe(
	struct answer_batch *batch, const struct addr *destination, const uint8_t *known, bool at_once, struct why *why)
{
	struct stream *stream = batch->stream;
	struct subscription *subscription = find(stream, destination);
	if (subscription != NULL) {
		if (answer_batch_has(batch, subscription)) /* subscribed twice in one message: answered twice */
			work_send_batch(batch);
		subscription->is_asked_again = true; /* once, however often it is repeated before the answer */
		subscription->sent = 0;
	} else {
		RETURN_IF_ERR(subscription_add(stream, destination, &subscription, why));
		if (known != NULL && subscription_is_known(subscription, known))
			return ERR_NONE;
	}
	if (at_once && work_may_answer_at_once(stream->distributor))
		work_add(batch, subscription);
	else
		work_stream_due(stream);
	return ERR_NONE;
}

static enum err subscribe_each(struct stream *stream, const struct discovery_up *up, struct why *why)
{
	static const uint8_t none[ANSWER_DIGEST_LEN];
	struct answer_batch batch = {.stream = stream};
	enum err err = ERR_NONE;
	for (size_t i = 0; i < up->num_destinations && err == ERR_NONE; i++) {
		const uint8_t *known = up->known == NULL ? NULL : up->known + i * ANSWER_DIGEST_LEN;
		bool has_it = known != NULL && memcmp(known, none, ANSWER_DIGEST_LEN) != 0;
		err = subscribe(&batch, &up->destinations[i], has_it ? known : NULL, i < AT_ONCE_MAX, why);
	}
	work_send_batch(&batch);
	return err;
}

static void subscription_drop(void *arg, struct table_link *link)
{
	struct stream *stream = arg;
	struct subscription *subscription = container_of(link, struct subscription, link);
	work_pass_over(subscription);
	table_remove(&stream->subscriptions, link);
	list_remove(&subscription->of_topic);
	subscription->topic->num_subscriptions--;
	topic_drop_if_unused(stream->distributor, subscription->topic);
	if (stream->share.shares != NULL)
		CHECK(shares_resize(&stream->share, weight_of(stream)) == SHARE_LIMIT_NONE);
	mem_free(subscription);
}

static void unsubscribe(struct stream *stream, const struct addr *destination)
{
	struct subscription *subscription = find(stream, destination);
	if (subscription != NULL)
		subscription_drop(stream, &subscription->link);
}

/* --- incoming --- */

void distribute_start(
	struct distributor *distributor, struct rpc_call *call, const struct spiffe_id *id, const struct ip_addr *from)
{
	struct stream *stream = mem_new(struct stream);
	struct share_key key = share_key_of_bytes(spiffe_id_text(id));
	stream->distributor = distributor;
	stream->call = call;
	stream->from = *from;
	table_init(&stream->subscriptions, 0);
	spiffe_id_copy(id, &stream->id);
	list_push_front(&distributor->streams, &stream->link);
	distributor->num_streams++;
	distributor->num_marks++;
	stream->mesh_wanted = distributor->mesh_version;
	rpc_call_set_arg(call, stream);
	if (shares_take(distributor->shares, 0, &key, 1, 1, &stream->share) != SHARE_LIMIT_NONE)
		rpc_call_finish(
			call, RPC_RESOURCE_EXHAUSTED, "this identity has reached its limit of subscriptions", 5000);
}

static enum err hello(struct stream *stream, const struct discovery_up *up, struct why *why)
{
	if (up->protocol_version != 1)
		return why_set(why, ERR_UNSUPPORTED, "protocol version 1", "use releases at most two apart",
			"the sidecar has version %u", up->protocol_version);
	if (!stream->has_hello) {
		RETURN_IF_ERR(may_have(stream, up->num_services, why));
		named_take(stream, up->services, up->num_services);
	}
	stream->has_hello = true;
	if (stream_send_mesh(stream) != ERR_NONE)
		work_stream_due(stream);
	return ERR_NONE;
}

static enum err up_take(struct stream *stream, struct discovery_up *up, struct why *why)
{
	if (!stream->has_hello && up->kind != DISCOVERY_HELLO)
		return why_set(why, ERR_PROTOCOL, "hello as the first message", "update the sidecar",
			"the stream begins with another message");
	switch (up->kind) {
	case DISCOVERY_HELLO:
		return hello(stream, up, why);
	case DISCOVERY_SUBSCRIBE:
		return subscribe_each(stream, up, why);
	case DISCOVERY_UNSUBSCRIBE:
		for (size_t i = 0; i < up->num_destinations; i++)
			unsubscribe(stream, &up->destinations[i]);
		return ERR_NONE;
	case DISCOVERY_ACK:
		if (up->refused_reason[0] == '\0')
			stream_confirmed(stream, up->version);
		if (up->refused_reason[0] != '\0' &&
			limited_log_allows_identity(stream->distributor->lines, stream->id.text, "version refused"))
			log_warning("distribute", "%s refuses version %llu: %s", stream->id.text,
				(unsigned long long)up->version, up->refused_reason);
		return ERR_NONE;
	}
	CHECK_UNREACHABLE();
}

void distribute_message(void *arg, struct rpc_call *call, struct span message)
{
	struct stream *stream = arg;
	struct discovery_up up = {0};
	struct why why = {0};
	char text[512];
	enum err err = discovery_up_parse(message, &up, &why);
	if (err == ERR_NONE)
		err = up_take(stream, &up, &why);
	discovery_up_done(&up);
	if (err == ERR_NONE)
		return;
	if (limited_log_allows_identity(stream->distributor->lines, stream->id.text, err_label(err)))
		log_why(LOG_LEVEL_WARNING, "distribute", stream->id.text, &why);
	rpc_call_finish(call, err == ERR_LIMIT ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT,
		why_format(&why, text, sizeof(text)), 0);
}

void distribute_half_close(void *arg, struct rpc_call *call)
{
	(void)arg;
	rpc_call_finish(call, RPC_OK, NULL, 0);
}

void distribute_done(void *arg, struct rpc_call *call)
{
	(void)call;
	struct stream *stream = arg;
	zones_stop(stream);
	list_remove(&stream->link);
	CHECK(stream->distributor->num_streams > 0);
	stream->distributor->num_streams--;
	stream->distributor->num_marks++;
	work_stop_stream(stream);
	named_stop(stream);
	table_each(&stream->subscriptions, subscription_drop, stream);
	shares_give(&stream->share);
	table_done(&stream->subscriptions);
	spiffe_id_done(&stream->id);
	mem_free(stream);
}
