/* The trust state on identity streams: what a sidecar of this release gets, and what one of release 0.1. */
#include "control/serve/identity_stream.h"

/* The trust state, encoded once for each kind of receiver, and only if there is one: with many bans it is large. */
struct trust_messages {
	struct trust_message_for {
		bool is_encoded;
		enum err err;
		struct buf bytes;
	} for_streams[2]; /* by takes_lists */
};

static void trust_messages_done(struct trust_messages *messages)
{
	buf_done(&messages->for_streams[false].bytes);
	buf_done(&messages->for_streams[true].bytes);
}

static void send_trust(struct identity_stream *stream, struct trust_messages *messages)
{
	const struct serve *serve = stream->serve;
	struct trust_message_for *message = &messages->for_streams[stream->takes_lists];
	if (!message->is_encoded) {
		message->is_encoded = true;
		buf_init(&message->bytes, MESSAGE_OUT_MAX);
		message->err = identity_trust_encode(serve->options.trust, stream->takes_lists,
			serve->options.report_each_s, serve_now_ms(serve), &message->bytes);
	}
	identity_stream_send(stream, message->err, &message->bytes);
}

void identity_stream_send_trust(struct identity_stream *stream)
{
	_cleanup_(trust_messages_done) struct trust_messages messages = {0};
	send_trust(stream, &messages);
}

/* A stream without a hello gets the state of then with its hello. */
void identity_push_trust(struct serve *serve)
{
	_cleanup_(trust_messages_done) struct trust_messages messages = {0};
	LIST_EACH_REMOVABLE(&serve->identity_streams, struct identity_stream, stream, link) {
		if (stream->has_hello)
			send_trust(stream, &messages);
	}
}
