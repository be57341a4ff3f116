/* The work of a change, in slices: whatever the number of subscribers per change, or of changes per subscriber, a round
 * of the loop stays short and other messages are not delayed. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "control/distribute/distribute_private.h"

enum {
	/* Changes within this time are sent together. Slices that send or resolve answers are a tick of the timers (10
	 * ms) apart: with thousands of sidecars that come at once, each answer changes many times. */
	COALESCE_MS = 20,
	RETRY_MS = 200, /* after a reader was too slow */

	/* The most that one round does of each kind: about a millisecond in all. */
	SLICE_RESOLVED = 64,
	SLICE_SENT = 256,
	SLICE_DEFERRED = 8, /* as many that wait for their stream's turn cost as much as one that is sent */
	SLICE_CAUGHT_UP = 256,
	SLICE_STREAMS = 16, /* each may get the mesh's state, which is encoded per stream */
	SLICE_SPENT =
		128 * 1024, /* and bytes of answers: the answer of a large service is as long as hundreds of others */
	TURN_BUCKETS = 32,  /* of one stream that catches up, before the next one's turn */
};

static void put_due(struct list *queue, struct list_link *due)
{
	if (!list_is_linked(due))
		list_push_back(queue, due);
}

static void remove_due(struct list_link *due)
{
	if (list_is_linked(due))
		list_remove(due);
}

static void on_work(struct loop_timer *timer);
static void on_catch_up(struct loop_task *task);

static void work_within(struct distributor *distributor, uint64_t ms)
{
	if (!loop_timer_is_armed(&distributor->work))
		loop_timer_start(distributor->loop, &distributor->work, ms, on_work);
}

/* --- queueing --- */

static void site_due(struct distributor *distributor, struct site *site)
{
	site->cursor = LIST_FIRST(
		&site->topics, struct topic, of_site); /* answers that are resolved already may have changed */
	put_due(&distributor->sites_due, &site->due);
}

static void each_site_due(void *distributor, struct table_link *link)
{
	site_due(distributor, container_of(link, struct site, link));
}

void work_sites_due(struct distributor *distributor, const struct ip_addr *ip)
{
	struct site *one = ip == NULL ? NULL : site_find(distributor, ip);
	if (one != NULL)
		site_due(distributor, one);
	if (ip == NULL)
		table_each(&distributor->sites, each_site_due, distributor);
	if (!list_is_empty(&distributor->sites_due))
		work_within(distributor, COALESCE_MS);
}

void work_topic_due(struct distributor *distributor, struct topic *topic)
{
	topic->cursor = LIST_FIRST(&topic->subscriptions, struct subscription, of_topic);
	put_due(&distributor->topics_due, &topic->due);
	work_within(distributor, 0);
}

void work_stream_due(struct stream *stream)
{
	if (stream->is_full)
		return;
	if (list_is_linked(
		    &stream->due)) { /* else a stream that subscribes all the time would never reach its last bucket */
		stream->starts_over |= stream->cursor > 0;
		return;
	}
	stream->cursor = 0;
	stream->starts_over = false;
	put_due(&stream->distributor->streams_due, &stream->due);
	loop_task_post_next(stream->distributor->loop, &stream->distributor->catch_up, on_catch_up);
}

bool work_may_answer_at_once(struct distributor *distributor)
{
	uint64_t now_ms = loop_now_ms(distributor->loop);
	if (now_ms != distributor->at_once_ms)
		distributor->at_once_until = distributor->spent + SLICE_SPENT;
	distributor->at_once_ms = now_ms;
	return distributor->spent < distributor->at_once_until;
}

void work_stop_site(struct site *site)
{
	remove_due(&site->due);
}

void work_stop_topic(struct topic *topic)
{
	remove_due(&topic->due);
}

void work_stop_stream(struct stream *stream)
{
	remove_due(&stream->due);
}

void work_pass_over(struct subscription *subscription)
{
	struct topic *topic = subscription->topic;
	if (topic->cursor == subscription)
		topic->cursor = LIST_NEXT(&topic->subscriptions, subscription, of_topic);
}

/* --- slow readers --- */

static void on_retry(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, retry);
	LIST_EACH(&distributor->streams, struct stream, stream, link)
		if (stream->is_full) {
			stream->is_full = false;
			work_stream_due(stream);
		}
}

/* Tried again by itself and from its first bucket: other streams do not wait for it. */
static void stream_is_full(struct stream *stream)
{
	struct distributor *distributor = stream->distributor;
	CHECK(!stream->is_full);
	stream->is_full = true;
	work_stop_stream(stream);
	if (!loop_timer_is_armed(&distributor->retry))
		loop_timer_start(distributor->loop, &distributor->retry, RETRY_MS, on_retry);
}

static void send_one(struct subscription *subscription)
{
	if (!subscription->stream->is_full && stream_send_answer(subscription) == ERR_LIMIT)
		stream_is_full(subscription->stream);
}

void work_add(struct answer_batch *batch, struct subscription *subscription)
{
	if (!batch->stream->is_full && answer_batch_add(batch, subscription) == ERR_LIMIT)
		stream_is_full(batch->stream);
}

void work_send_batch(struct answer_batch *batch)
{
	if (!batch->stream->is_full && answer_batch_send(batch) == ERR_LIMIT)
		stream_is_full(batch->stream);
}

/* --- the slices --- */

static void changed(struct distributor *distributor, struct topic *topic)
{
	if (topic->has_grown)
		growth_due(distributor, topic);
	else
		work_topic_due(distributor, topic);
}

static void resolve_slice(struct distributor *distributor)
{
	uint64_t until = distributor->spent + SLICE_SPENT;
	for (unsigned num = 0;
		num < SLICE_RESOLVED && distributor->spent < until && !list_is_empty(&distributor->sites_due); num++) {
		struct site *site = LIST_FIRST(&distributor->sites_due, struct site, due);
		struct topic *topic = site->cursor;
		if (topic != NULL) {
			site->cursor = LIST_NEXT(&site->topics, topic, of_site);
			if (topic_resolve(distributor, topic))
				changed(distributor, topic);
		}
		if (site->cursor == NULL)
			remove_due(&site->due);
	}
}

/* Answers that change beside others wait for their stream's turn and are sent together: when thousands of sidecars come
 * at once, each message would else have one answer, and each subscriber get one for every change. */
static unsigned send_soon(struct subscription *subscription, bool is_alone)
{
	if (is_alone)
		send_one(subscription);
	else if (subscription->sent != subscription->topic->content)
		work_stream_due(subscription->stream);
	return is_alone ? SLICE_DEFERRED : 1;
}

/* The next subscription of the topic, or the end of its turn. Returns the cost, of SLICE_SENT * SLICE_DEFERRED. */
static unsigned send_next(struct topic *topic, bool is_alone)
{
	struct subscription *subscription = topic->cursor;
	if (subscription == NULL) {
		remove_due(&topic->due);
		return 1;
	}
	topic->cursor = LIST_NEXT(&topic->subscriptions, subscription, of_topic);
	return send_soon(subscription, is_alone);
}

static void send_slice(struct distributor *distributor)
{
	uint64_t until = distributor->spent + SLICE_SPENT;
	for (unsigned cost = 0; cost < SLICE_SENT * SLICE_DEFERRED && distributor->spent < until &&
				!list_is_empty(&distributor->topics_due);) {
		struct topic *topic = LIST_FIRST(&distributor->topics_due, struct topic, due);
		cost += send_next(topic, LIST_NEXT(&distributor->topics_due, topic, due) == NULL);
	}
}

/* Returns how many it visited. */
static unsigned catch_up_turn(struct stream *stream, uint64_t until)
{
	unsigned num = 0;
	struct answer_batch batch = {.stream = stream};
	if (stream_send_mesh(stream) == ERR_LIMIT) {
		stream_is_full(stream);
		return 1;
	}
	for (unsigned turn = 0; turn < TURN_BUCKETS && stream->cursor < stream->subscriptions.num_buckets &&
				stream->distributor->spent < until;
		turn++)
		for (struct table_link *at = stream->subscriptions.buckets[stream->cursor++]; at != NULL;
			at = at->next, num++)
			work_add(&batch, container_of(at, struct subscription, link));
	work_send_batch(&batch);
	return num + 1;
}

static void catch_up_slice(struct distributor *distributor)
{
	unsigned num = 0;
	uint64_t until = distributor->spent + SLICE_SPENT;
	for (unsigned i = 0; i < SLICE_STREAMS && num < SLICE_CAUGHT_UP && distributor->spent < until; i++) {
		struct stream *stream = LIST_FIRST(&distributor->streams_due, struct stream, due);
		if (stream == NULL)
			return;
		num += catch_up_turn(stream, until);
		remove_due(&stream->due);
		if (stream->starts_over && stream->cursor == stream->subscriptions.num_buckets) {
			stream->cursor = 0;
			stream->starts_over = false;
		}
		if (!stream->is_full && stream->cursor < stream->subscriptions.num_buckets)
			put_due(&distributor->streams_due, &stream->due);
		growth_turn_over(distributor);
	}
}

static void on_work(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, work);
	distributor->counts.num_slices++;
	send_slice(distributor);
	resolve_slice(distributor);
	if (!list_is_empty(&distributor->topics_due) || !list_is_empty(&distributor->sites_due))
		work_within(distributor, 0);
}

/* A new policy is to be in force soon: no pause between these slices. */
static void on_catch_up(struct loop_task *task)
{
	struct distributor *distributor = container_of(task, struct distributor, catch_up);
	distributor->counts.num_slices++;
	catch_up_slice(distributor);
	if (!list_is_empty(&distributor->streams_due))
		loop_task_post_next(distributor->loop, &distributor->catch_up, on_catch_up);
}
