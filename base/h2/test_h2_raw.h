/* For tests: a server session whose peer is a row of raw frames, which may violate the protocol. */
#pragma once

#include "base/h2/test_h2_pair.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum {
	PROTOCOL_ERROR = 1,
	FLOW_CONTROL_ERROR = 3,
	STREAM_CLOSED = 5,
	FRAME_SIZE_ERROR = 6,
	COMPRESSION_ERROR = 9,
	CALM = 11
};

struct raw {
	struct test_h2_end server; /* 1,000 streams */
	struct buf bytes;          /* of the peer, not fed yet; begins with the preface */
	struct why detail;
};

/* Fixtures for cmocka: *state is a struct raw. */
int raw_setup(void **state);
int raw_teardown(void **state);
#define RAW_TEST(name) cmocka_unit_test_setup_teardown(name, raw_setup, raw_teardown)

/* Feeds the bytes; the server's output is then what it produced on them. */
enum err raw_feed(struct raw *raw);
void raw_add_reset_streams(struct raw *raw, int first, int num);
/* Feeds the bytes, on which the server ends the connection. */
void raw_expect_calm(struct raw *raw); /* for a limit */
void raw_expect_goaway(struct raw *raw, uint32_t error);
