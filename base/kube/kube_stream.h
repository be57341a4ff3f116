/* One HTTP exchange on the client's connection: what requests and watches are made of. Private to base/kube. */
#pragma once

#include "base/kube/kube_client.h"
#include "base/kube/kube_turns.h"

enum { KUBE_STREAM_WINDOW = 256 * 1024 }; /* bytes that are received and not yet consumed: at most so many */

struct kube_stream;

struct kube_head {
	unsigned status;
	uint32_t retry_after_s; /* 0: none */
	int64_t date_s;         /* the server's clock, seconds since 1970; 0: none */
};

/* A callback may open and cancel any stream. */
struct kube_stream_events {
	void (*on_head)(void *arg, const struct kube_head *head); /* once, before the first byte */
	void (*on_bytes)(void *arg, struct span bytes); /* kube_stream_consumed() gives credit for as many more */
	/* Last; the stream is gone. ERR_NONE: the whole answer came. */
	void (*on_end)(void *arg, enum err err, const struct why *why);
	/* An attempt to connect has failed: the stream waits for the next one. NULL: it ends instead, and at GOAWAY it
	 * goes on; else it ends then with ERR_CLOSED. */
	void (*on_wait)(void *arg, const struct why *why);
	void (*on_drop)(void *arg); /* the client is freed, and the stream with it: no other callback follows */
};

struct kube_stream_options {                               /* copied */
	const char *method, *path, *content_type, *accept; /* content_type NULL: without a body */
	struct span body;
};

struct kube_stream *kube_stream_open(struct kube_client *client, const struct kube_stream_options *options,
	const struct kube_stream_events *events, void *arg); /* no callback within the call */
void kube_stream_consumed(struct kube_stream *stream, size_t len);
void kube_stream_cancel(struct kube_stream *stream); /* without on_end */

struct loop *kube_client_loop(const struct kube_client *client);
struct kube_turns *kube_client_turns(struct kube_client *client); /* of its watches */
