/* For tests: both ends of an HTTP/2 connection without a network, which record their callbacks, and raw frames for
 * peers that violate the protocol. */
#pragma once

#include "base/h2/h2_session.h"

#define H2_TEST_STREAMS 6100

struct test_h2_stream {
	int32_t id;
	bool exists, ended, closed;
	uint32_t error; /* of on_close */
	unsigned num_headers;
	char first_header[64]; /* "name: value" of the last list */
	size_t header_bytes;   /* of the last list, names and values */
	struct buf received;
	struct span to_send; /* returned by pull */
	size_t sent;
	bool end_after; /* IO_EOF with the last byte, else IO_WANT_READ */
	bool pull_fails;
	size_t largest_pull;
};

struct test_h2_end {
	struct h2_session *session;
	struct buf out;
	struct test_h2_stream *streams; /* by id / 2 */
	bool responds;                  /* a server responds at once */
	const char *status;             /* with this; NULL: 200. Other than 2xx: without a body */
	bool refuses_to_consume;
	unsigned num_settings, num_goaways, num_ping_acks, num_output_ready, num_pulls;
	uint32_t goaway_error;
	int32_t pull_order[64]; /* ids in the order they were pulled */
};

struct test_h2_pair {
	struct test_h2_end client, server;
};

void test_h2_end_init(struct test_h2_end *end, enum h2_role role, const struct h2_limits *limits, size_t out_max);
void test_h2_end_done(struct test_h2_end *end);
void test_h2_pair_init(struct test_h2_pair *pair, const struct h2_limits *limits);
void test_h2_pair_done(struct test_h2_pair *pair);
/* Transfers bytes until both ends are idle. Returns their number. */
size_t test_h2_pair_run(struct test_h2_pair *pair);
struct test_h2_stream *test_h2_end_stream(struct test_h2_end *end, int32_t id);
int32_t test_h2_open(struct test_h2_end *client, bool end_stream); /* CONNECT */
void test_h2_send(struct test_h2_end *end, int32_t id, struct span bytes, bool end_after);

/* --- raw bytes --- */
#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
void h2_raw_preface(struct buf *out); /* with empty SETTINGS */
void h2_raw_frame(struct buf *out, uint8_t type, uint8_t flags, int32_t id, struct span payload);
void h2_raw_connect(struct buf *out, int32_t id, bool end_stream); /* HEADERS of a CONNECT request */
/* Feeds a new server, produces, and returns the result of feed. */
enum err h2_raw_feed(struct test_h2_end *end, struct buf *bytes, struct why *why);
/* The error code of the GOAWAY in the output; UINT32_MAX: there is none. */
uint32_t h2_raw_goaway(const struct buf *produced);
uint32_t h2_raw_reset(const struct buf *produced); /* the same of the first RST_STREAM */
unsigned h2_raw_count(const struct buf *produced, uint8_t type);
