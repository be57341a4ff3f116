/* The work of a change, in slices: whatever the number of subscribers per change, or of changes per subscriber, a round
 * of the loop stays short and other messages are not delayed. */
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

#define QUEUE_PUT(queue, item)                                                                                         \
	do {                                                                                                           \
		if ((item)->prev_due == NULL) {                                                                        \
			if ((queue)->first == NULL)                                                                    \
				(queue)->last = &(queue)->first;                                                       \
			(item)->next_due = NULL;                                                                       \
			(item)->prev_due = (queue)->last;                                                              \
			*(queue)->last = (item);                                                                       \
			(queue)->last = &(item)->next_due;                                                             \
		}                                                                                                      \
	} while (0)
#define QUEUE_REMOVE(queue, item)                                                                                      \
	do {                                                                                                           \
		if ((item)->prev_due != NULL) {                                                                        \
			*(item)->prev_due = (item)->next_due;                                                          \
			if ((item)->next_due != NULL)                                                                  \
				(item)->next_due->prev_due = (item)->prev_due;                                         \
			else                                                                                           \
				(queue)->last = (item)->prev_due;                                                      \
			(item)->prev_due = NULL;                                                                       \
		}                                                                                                      \
	} while (0)

static void on_work(struct loop_timer *timer);

static void work_within(struct distributor *distributor, uint64_t ms)
{
	if (!loop_timer_is_armed(&distributor->work))
		loop_timer_start(distributor->loop, &distributor->work, ms, on_work);
}

/* --- queueing --- */

static void site_due(struct distributor *distributor, struct site *site)
{
	site->cursor = site->topics; /* answers that are resolved already may have changed */
	QUEUE_PUT(&distributor->sites_due, site);
}

void work_sites_due(struct distributor *distributor, const struct ip_addr *ip)
{
	struct site *one = ip == NULL ? NULL : site_find(distributor, ip);
	if (one != NULL)
		site_due(distributor, one);
	for (size_t i = 0; ip == NULL && i < SITE_BUCKETS; i++)
		for (struct site *site = distributor->sites[i]; site != NULL; site = site->next)
			site_due(distributor, site);
	if (distributor->sites_due.first != NULL)
		work_within(distributor, COALESCE_MS);
}

void work_topic_due(struct distributor *distributor, struct topic *topic)
{
	topic->cursor = topic->subscriptions;
	QUEUE_PUT(&distributor->topics_due, topic);
	work_within(distributor, 0);
}

void work_stream_due(struct stream *stream)
{
	if (stream->is_full)
		return;
	if (stream->prev_due !=
		NULL) { /* else a stream that subscribes all the time would never reach its last bucket */
		stream->starts_over = true;
		return;
	}
	stream->cursor = 0;
	stream->starts_over = false;
	QUEUE_PUT(&stream->distributor->streams_due, stream);
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

void work_stop_site(struct distributor *distributor, struct site *site)
{
	QUEUE_REMOVE(&distributor->sites_due, site);
}

void work_stop_topic(struct distributor *distributor, struct topic *topic)
{
	QUEUE_REMOVE(&distributor->topics_due, topic);
}

void work_stop_stream(struct distributor *distributor, struct stream *stream)
{
	QUEUE_REMOVE(&distributor->streams_due, stream);
}

void work_pass_over(struct subscription *subscription)
{
	struct topic *topic = subscription->topic;
	if (topic->cursor == subscription)
		topic->cursor = subscription->next_of_topic;
}

/* --- slow readers --- */

static void on_retry(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, retry);
	for (struct stream *stream = distributor->streams; stream != NULL; stream = stream->next)
		if (stream->is_full) {
			stream->is_full = false;
			work_stream_due(stream);
		}
}

/* Tried again by itself and from its first bucket: other streams do not wait for it. */
static void stream_is_full(struct stream *stream)
{
	struct distributor *distributor = stream->distributor;
	stream->is_full = true;
	work_stop_stream(distributor, stream);
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
		num < SLICE_RESOLVED && distributor->spent < until && distributor->sites_due.first != NULL; num++) {
		struct site *site = distributor->sites_due.first;
		struct topic *topic = site->cursor;
		if (topic != NULL) {
			site->cursor = topic->next_of_site;
			if (topic_resolve(distributor, topic))
				work_topic_due(distributor, topic);
		}
		if (site->cursor == NULL)
			QUEUE_REMOVE(&distributor->sites_due, site);
	}
}

/* The next subscription of the topic, or the end of its turn. */
static void send_next(struct distributor *distributor, struct topic *topic)
{
	struct subscription *subscription = topic->cursor;
	if (subscription == NULL) {
		QUEUE_REMOVE(&distributor->topics_due, topic);
		return;
	}
	topic->cursor = subscription->next_of_topic;
	work_send(subscription);
}

static void send_slice(struct distributor *distributor)
{
	uint64_t until = distributor->spent + SLICE_SPENT;
	for (unsigned num = 0; num < SLICE_SENT && distributor->spent < until && distributor->topics_due.first != NULL;
		num++)
		send_next(distributor, distributor->topics_due.first);
}

/* Returns how many it visited. */
static unsigned catch_up_turn(struct stream *stream, uint64_t until)
{
	unsigned num = 0;
	if (stream_send_mesh(stream) == ERR_LIMIT) {
		stream_is_full(stream);
		return 1;
	}
	for (unsigned turn = 0;
		turn < TURN_BUCKETS && stream->cursor < stream->num_buckets && stream->distributor->spent < until;
		turn++)
		for (struct subscription *at = stream->buckets[stream->cursor++]; at != NULL; at = at->next, num++)
			work_send(at);
	return num + 1;
}

static void catch_up_slice(struct distributor *distributor)
{
	unsigned num = 0;
	uint64_t until = distributor->spent + SLICE_SPENT;
	for (unsigned i = 0; i < SLICE_STREAMS && num < SLICE_CAUGHT_UP && distributor->spent < until; i++) {
		struct stream *stream = distributor->streams_due.first;
		if (stream == NULL)
			return;
		num += catch_up_turn(stream, until);
		QUEUE_REMOVE(&distributor->streams_due, stream);
		if (stream->starts_over && stream->cursor == stream->num_buckets) {
			stream->cursor = 0;
			stream->starts_over = false;
		}
		if (!stream->is_full && stream->cursor < stream->num_buckets)
			QUEUE_PUT(&distributor->streams_due, stream);
	}
}

static void on_work(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, work);
	distributor->counts.num_slices++;
	send_slice(distributor);
	resolve_slice(distributor);
	catch_up_slice(distributor);
	if (distributor->topics_due.first != NULL || distributor->sites_due.first != NULL ||
		distributor->streams_due.first != NULL)
		work_within(distributor, 0);
}
