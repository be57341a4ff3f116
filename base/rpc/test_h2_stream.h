/* For tests: one stream of an h2_link, of either role, with its bytes: what was received, and what is to be sent. Its
 * functions are callbacks of struct h2_link_events; the stream is attached by its address (h2_stream_attach() or
 * h2_stream_open()). */
#pragma once

#include "base/rpc/h2_link.h"

struct test_h2_stream { /* part of the test's own struct */
	struct h2_link *link;
	int32_t id;
	struct buf received, to_send;
	bool is_held;  /* more to send may follow: no END_STREAM after to_send */
	bool is_whole; /* the peer's END_STREAM came */
	bool is_closed;
	uint32_t error; /* of the close; 0: none */
};
void test_h2_stream_init(struct test_h2_stream *stream, struct h2_link *link, size_t max); /* each direction's bytes */
void test_h2_stream_done(struct test_h2_stream *stream);
void test_h2_stream_flush(struct test_h2_stream *stream); /* to_send or is_held has changed */

void test_h2_stream_on_data(void *arg, int32_t id, void *owner, struct span bytes);
void test_h2_stream_on_end(void *arg, int32_t id, void *owner);
void test_h2_stream_on_close(void *arg, int32_t id, void *owner, uint32_t error);
enum io_result test_h2_stream_pull(void *arg, void *owner, uint8_t *to, size_t cap, size_t *out_len);
