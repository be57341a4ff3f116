/* The work of a change, in slices: whatever the number of subscribers per change, or of changes per subscriber, a round
 * of the loop stays short and other messages are not delayed. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "control/distribute/distribute_private.h"

enum {
	COALESCE_MS = 20, /* changes within this time are sent together */
	RETRY_MS = 200,   /* after a reader was too slow */

	/* The most that one round does of each kind: about a millisecond in all. */
	SLICE_RESOLVED = 64,
	SLICE_SENT = 256,
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
		stream->starts_over = true;
		return;
	}
	stream->cursor = 0;
	stream->starts_over = false;
	put_due(&stream->distributor->streams_due, &stream->due);
	work_within(stream->distributor, 0);
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

void work_send(struct subscription *subscription)
{
	if (!subscription->stream->is_full && stream_send_answer(subscription) == ERR_LIMIT)
		stream_is_full(subscription->stream);
}

/* --- the slices --- */

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
				work_topic_due(distributor, topic);
		}
		if (site->cursor == NULL)
			remove_due(&site->due);
	}
}

/* The next subscription of the topic, or the end of its turn. */
static void send_next(struct topic *topic)
{
	struct subscription *subscription = topic->cursor;
	if (subscription == NULL) {
		remove_due(&topic->due);
		return;
	}
	topic->cursor = LIST_NEXT(&topic->subscriptions, subscription, of_topic);
	work_send(subscription);
}

static void send_slice(struct distributor *distributor)
{
	uint64_t until = distributor->spent + SLICE_SPENT;
	for (unsigned num = 0;
		num < SLICE_SENT && distributor->spent < until && !list_is_empty(&distributor->topics_due); num++)
		send_next(LIST_FIRST(&distributor->topics_due, struct topic, due));
}

/* Returns how many it visited. */
static unsigned catch_up_turn(struct stream *stream, uint64_t until)
{
	unsigned num = 0;
	if (stream_send_mesh(stream) == ERR_LIMIT) {
		stream_is_full(stream);
		return 1;
	}
	for (unsigned turn = 0; turn < TURN_BUCKETS && stream->cursor < stream->subscriptions.num_buckets &&
				stream->distributor->spent < until;
		turn++)
		for (struct table_link *at = stream->subscriptions.buckets[stream->cursor++]; at != NULL;
			at = at->next, num++)
			work_send(container_of(at, struct subscription, link));
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
	}
}

static void on_work(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, work);
	distributor->counts.num_slices++;
	send_slice(distributor);
	resolve_slice(distributor);
	catch_up_slice(distributor);
	if (!list_is_empty(&distributor->topics_due) || !list_is_empty(&distributor->sites_due) ||
		!list_is_empty(&distributor->streams_due))
		work_within(distributor, 0);
}
