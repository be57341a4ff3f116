/* The answers to a stream: those that are due together are one message. */
#include "base/core/check.h"
#include "control/distribute/distribute_private.h"

enum { BATCH_BYTES = 48 * 1024 }; /* then it is sent: the send queue of a slow reader is not filled by one message */

/* A repeated subscription is answered again, with a newer version. */
static void resolve_again(struct distributor *distributor, struct topic *topic)
{
	if (topic_resolve(distributor, topic))
		work_topic_due(distributor, topic);
	else
		topic_renumber(distributor, topic);
}

/* True: the answer is to be sent. */
static bool prepare(struct subscription *subscription)
{
	struct topic *topic = subscription->topic;
	struct distributor *distributor = subscription->stream->distributor;
	if (topic->content == 0)
		(void)topic_resolve(distributor, topic);
	else if (subscription->is_asked_again)
		resolve_again(distributor, topic);
	subscription->is_asked_again = false;
	return subscription->sent != topic->content;
}

static void note_sent(struct subscription *subscription)
{
	struct distributor *distributor = subscription->stream->distributor;
	subscription->sent = subscription->topic->content;
	distributor->spent += subscription->topic->message_len / 8; /* a copy costs less than the encoding */
	distributor->counts.num_sent++;
}

enum err stream_send_answer(struct subscription *subscription)
{
	const struct topic *topic = subscription->topic;
	if (!prepare(subscription))
		return ERR_NONE;
	CHECK(topic->message != NULL);
	RETURN_IF_ERR(rpc_call_send(subscription->stream->call, span_of(topic->message, topic->message_len)));
	note_sent(subscription);
	return ERR_NONE;
}

enum err answer_batch_send(struct answer_batch *batch)
{
	struct buf *message = &batch->stream->distributor->batch;
	uint8_t prefix[ANSWERS_PREFIX_MAX];
	size_t len = 0;
	for (size_t i = 0; i < batch->num; i++)
		len += batch->list[i]->topic->message_len - batch->list[i]->topic->prefix_len;
	if (batch->num == 0)
		return ERR_NONE;
	buf_clear(message);
	RETURN_IF_ERR(buf_append(message, span_of(prefix, encode_answers_prefix(len, prefix))));
	for (size_t i = 0; i < batch->num; i++) {
		const struct topic *topic = batch->list[i]->topic;
		RETURN_IF_ERR(buf_append(
			message, span_of(topic->message + topic->prefix_len, topic->message_len - topic->prefix_len)));
	}
	RETURN_IF_ERR(rpc_call_send(batch->stream->call, buf_span(message)));
	for (size_t i = 0; i < batch->num; i++)
		note_sent(batch->list[i]);
	batch->num = 0;
	return ERR_NONE;
}

bool answer_batch_has(const struct answer_batch *batch, const struct subscription *subscription)
{
	for (size_t i = 0; i < batch->num; i++)
		if (batch->list[i] == subscription)
			return true;
	return false;
}

static bool is_full(const struct answer_batch *batch)
{
	size_t len = 0;
	for (size_t i = 0; i < batch->num; i++)
		len += batch->list[i]->topic->message_len;
	return batch->num == BATCH_ANSWERS || len >= BATCH_BYTES;
}

enum err answer_batch_add(struct answer_batch *batch, struct subscription *subscription)
{
	CHECK(subscription->stream == batch->stream);
	if (!prepare(subscription))
		return ERR_NONE;
	CHECK(subscription->topic->message != NULL);
	if (is_full(batch))
		RETURN_IF_ERR(answer_batch_send(batch));
	batch->list[batch->num++] = subscription;
	return ERR_NONE;
}

/* An answer that is not resolved yet is resolved for that only while this round may answer at once. */
bool subscription_is_known(struct subscription *subscription, const uint8_t digest[ANSWER_DIGEST_LEN])
{
	struct topic *topic = subscription->topic;
	struct distributor *distributor = subscription->stream->distributor;
	if (topic->content == 0 && work_may_answer_at_once(distributor))
		(void)topic_resolve(distributor, topic);
	if (topic->content == 0 || memcmp(topic->digest, digest, ANSWER_DIGEST_LEN) != 0)
		return false;
	subscription->sent = topic->content;
	return true;
}
